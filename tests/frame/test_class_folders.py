"""A folder for each class, whatever the file system makes of its name."""

from pathlib import Path

import pytest
from PIL import Image

from pipeline.base.errors import UserError
from pipeline.frame.class_folders import labelled_by_folder, unlabelled
from pipeline.raw.files import RawFiles

CLASSES = ("caf\u00e9", "tea")


@pytest.fixture
def raw(tmp_path) -> RawFiles:
    """Two classes, one of whose folders macOS named, and test images in folders."""
    for number, name in enumerate(("train/cafe\u0301/1", "train/tea/1", "test/cafe\u0301/1", "test/tea/1")):
        path = tmp_path / f"{name}.png"
        path.parent.mkdir(parents=True)
        Image.new("RGB", (2, 2), (number, 0, 0)).save(path)
    return RawFiles((tmp_path,))


def test_accents_may_be_composed_or_not(raw):
    frame = labelled_by_folder(raw, "train", CLASSES)
    assert frame["image_id"].tolist() == ["caf\u00e9/1", "tea/1"] and frame["label"].tolist() == list(CLASSES)
    assert all(Path(path).is_file() for path in frame["path"])


def test_images_below_a_class_are_not_missed(raw, tmp_path):
    (tmp_path / "train" / "tea" / "green").mkdir()
    Image.new("RGB", (2, 2)).save(tmp_path / "train" / "tea" / "green" / "2.png")
    with pytest.raises(UserError, match=r"tea has images in folders \(green\)"):
        labelled_by_folder(raw, "train", CLASSES)


def test_links_that_lead_nowhere_get_a_number_too_and_decoding_names_them(raw, tmp_path):
    (tmp_path / "test" / "tea" / "2.png").symlink_to("gone.png")
    (tmp_path / "test" / "tea" / "3.png").symlink_to("3.png")
    frame = unlabelled(raw, "test")
    assert frame["image_id"].tolist() == ["1", "2", "3", "4"]
    assert [Path(path).is_file() for path in frame["path"]] == [False, False, True, True]
