"""The VOC competition: which lists it reads, what it leaves out, and what it hands in."""

import shutil
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from competitions.voc.competition import Competition
from competitions.voc.official import write_tar
from pipeline.base.errors import UserError
from pipeline.competition.evaluate import evaluation_of
from pipeline.competition.prepared import Prepared
from pipeline.frame.rle import decode
from pipeline.prediction.stored import save_map
from pipeline.raw.files import RawFiles
from pipeline.tasks.segmentation.palette import VOC_CLASSES, VOC_COLORS
from pipeline.tasks.segmentation.reading import read_mask


@pytest.fixture(scope="module")
def generated(tmp_path_factory) -> tuple[Path, pd.DataFrame]:
    raw = tmp_path_factory.mktemp("voc") / "raw"
    return raw, Competition().make_sample(raw, seed=0)


@pytest.fixture
def tree(generated, tmp_path) -> Path:
    """A copy of the generated raw files, to damage."""
    return Path(shutil.copytree(generated[0], tmp_path / "raw"))


def lists(raw: Path) -> Path:
    return raw / "VOCdevkit" / "VOC2012" / "ImageSets" / "Segmentation"


def test_the_sample_has_every_kind_of_pixel_and_hides_the_test_masks(generated):
    raw, truth = generated
    competition = Competition()
    train, test = competition.load_train(RawFiles((raw,))), competition.load_test(RawFiles((raw,)))
    assert len(train) == 120 and set(test["image_id"]) == set(truth["image_id"])
    assert not set(train["image_id"]) & set(test["image_id"])
    assert not any(Path(mask).is_relative_to(raw) for mask in truth["mask"])
    values = set()
    for row in train.itertuples():
        mask = read_mask(row.mask, row.image_id, len(VOC_CLASSES), VOC_COLORS)
        values |= set(np.unique(mask).tolist())
    assert {0, 255} < values and len(values) == 8
    read_mask(truth["mask"].iat[0], truth["image_id"].iat[0], len(VOC_CLASSES), VOC_COLORS)


def test_the_sample_is_made_again_byte_for_byte(generated, tmp_path):
    raw, truth = generated
    again = Competition().make_sample(tmp_path / "other" / "raw", seed=0)
    for folder, other in ((raw, tmp_path / "other" / "raw"), (raw.parent, tmp_path / "other")):
        files = sorted(path.relative_to(folder) for path in folder.rglob("*.*") if path.is_file())
        assert files and all((folder / name).read_bytes() == (other / name).read_bytes() for name in files)
    assert list(again["image_id"]) == list(truth["image_id"])
    assert [Path(mask).name for mask in again["mask"]] == [Path(mask).name for mask in truth["mask"]]


def test_without_a_test_list_the_validation_list_is_the_test_set(tree, capfd):
    (lists(tree) / "test.txt").unlink()
    train, test = (load(RawFiles((tree,))) for load in (Competition().load_train, Competition().load_test))
    assert list(lists(tree).joinpath("val.txt").read_text().split()) == sorted(test["image_id"])
    assert lists(tree).joinpath("train.txt").read_text().split() == sorted(train["image_id"])
    assert "val.txt lists the test images" in capfd.readouterr().err


@pytest.mark.parametrize("inner", ["VOCdevkit", "VOCdevkit/VOC2012"])
def test_the_raw_folder_may_be_any_level_of_the_tree(generated, inner):
    raw, _ = generated
    assert len(Competition().load_train(RawFiles((raw / inner,)))) == 120


def test_the_tree_of_2007_is_read_too(tree):
    (tree / "VOCdevkit" / "VOC2012").rename(tree / "VOCdevkit" / "VOC2007")
    assert len(Competition().load_train(RawFiles((tree,)))) == 120


def test_listed_images_without_a_mask_or_a_file_are_left_out_by_name(tree, capfd):
    year = tree / "VOCdevkit" / "VOC2012"
    (year / "SegmentationClass" / "2012_000001.png").unlink()
    (year / "JPEGImages" / "2012_000002.jpg").unlink()
    test_id = lists(tree).joinpath("test.txt").read_text().split()[0]
    (year / "JPEGImages" / f"{test_id}.jpg").unlink()
    assert len(Competition().load_train(RawFiles((tree,)))) == 118
    assert len(Competition().load_test(RawFiles((tree,)))) == 39
    said = capfd.readouterr().err
    assert "without a mask, left out: 2012_000001" in said
    assert "labels without files, left out: 2012_000002" in said
    assert f"without a file, left out: {test_id}" in said


def test_lists_that_make_no_sense_are_refused(tree):
    lists(tree).joinpath("trainval.txt").write_text("2012_000001\n2012_000001\n")
    with pytest.raises(UserError, match=r"trainval\.txt lists 1 id\(s\) more than once: 2012_000001"):
        Competition().load_train(RawFiles((tree,)))
    lists(tree).joinpath("trainval.txt").write_text("\n")
    with pytest.raises(UserError, match=r"trainval\.txt lists no images"):
        Competition().load_train(RawFiles((tree,)))


def test_a_submission_has_a_row_for_each_class_found(tmp_path):
    masks = {"a": np.array([[0, 3, 3], [20, 3, 0]]), "b": np.zeros((2, 2), dtype=int)}
    rows = []
    for image_id, mask in masks.items():
        path = tmp_path / f"{image_id}.npz"
        save_map(path, np.eye(len(VOC_CLASSES), dtype=np.float32)[mask].transpose(2, 0, 1))
        rows.append((image_id, str(path), *mask.shape))
    predictions = pd.DataFrame(rows, columns=["image_id", "map_file", "height", "width"])
    test = predictions[["image_id", "height", "width"]]
    submission = Competition().to_submission(predictions, test, VOC_CLASSES)
    assert list(submission["id"]) == ["a_3", "a_20"]
    for row in submission.itertuples():
        value = int(row.id.rpartition("_")[2])
        assert np.array_equal(decode(row.rle, 2, 3), masks["a"] == value)
    nothing = Competition().to_submission(predictions.iloc[1:], test.iloc[1:], VOC_CLASSES)
    assert list(nothing.columns) == ["id", "rle"] and nothing.empty


@pytest.mark.parametrize(
    "folder, expected", [("VOCdevkit/VOC2012", "VOC2012"), ("VOC2007-1f3a", "VOC2007"), ("photos", "VOC2012")]
)
def test_the_servers_archive_is_of_the_images_year(tmp_path, folder, expected):
    """Where the folder of the year names none, it is the last one."""
    mask = np.array([[0, 3, 3], [20, 3, 0]])
    save_map(tmp_path / "a.npz", np.eye(len(VOC_CLASSES), dtype=np.float32)[mask].transpose(2, 0, 1))
    predictions = pd.DataFrame({"image_id": ["a"], "map_file": [str(tmp_path / "a.npz")]})
    test = pd.DataFrame({"image_id": ["a"], "path": [f"/raw/{folder}/JPEGImages/a.jpg"]})
    data = Prepared(
        folder=tmp_path,
        train=test,
        test=test,
        sample_submission=test,
        classes=list(VOC_CLASSES),
        train_identity="",
        test_identity="",
    )
    write_tar(predictions, data, tmp_path / "a.tar")
    with tarfile.open(tmp_path / "a.tar") as archive:
        assert archive.getnames() == [f"results/{expected}/Segmentation/comp6_test_cls/a.png"]
        archive.extractall(tmp_path / "out", filter="data")
    (png,) = (tmp_path / "out").rglob("*.png")
    assert np.array_equal(read_mask(png, "a", len(VOC_CLASSES), VOC_COLORS), mask)


def test_the_score_is_over_all_pixels_and_ignores_borders(generated, tmp_path):
    _, truth = generated
    truth = truth.iloc[:3].reset_index(drop=True)
    rows = []
    for row in truth.itertuples():
        mask = read_mask(row.mask, row.image_id, len(VOC_CLASSES), VOC_COLORS)
        guess = np.where(mask == 255, 7, mask)
        path = tmp_path / f"{row.image_id}.npz"
        save_map(path, np.eye(len(VOC_CLASSES), dtype=np.float32)[guess].transpose(2, 0, 1))
        rows.append((row.image_id, str(path), *mask.shape))
    predictions = pd.DataFrame(rows, columns=["image_id", "map_file", "height", "width"])
    found = evaluation_of(Competition(), truth, predictions, VOC_CLASSES)
    assert found.score == 1 and found.extra == {"pixel_accuracy": 1}
    swapped = predictions.assign(map_file=predictions["map_file"].to_numpy()[[0, 1, 0]])
    with pytest.raises(ValueError, match="shape"):
        evaluation_of(Competition(), truth, swapped, VOC_CLASSES).evidence("pixels")
