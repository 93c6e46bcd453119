"""Reorganising: a checked manifest, packed pixels, rebuilt only when something changed."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from competitions.cifar10.competition import CLASSES, Competition
from pipeline.base.errors import UserError
from pipeline.base.files import TEMPORARY
from pipeline.competition.prepare import prepare
from pipeline.competition.prepared import open_prepared
from pipeline.competition.sources import Source
from pipeline.frame.pairing import pair_labels
from pipeline.raw.files import open_raw
from pipeline.stages.export_folders import export_class_folders


@pytest.fixture
def raw(tmp_path):
    """Thirty labelled and ten other images, .png and .jpg mixed; 3 and 7 are the same picture."""
    folder = tmp_path / "raw"
    random = np.random.default_rng(0)
    for split, count in (("train", 30), ("test", 10)):
        (folder / split).mkdir(parents=True)
        for number in range(1, count + 1):
            pixels = random.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            suffix = "png" if split == "test" or number % 2 else "jpg"
            Image.fromarray(pixels).save(folder / split / f"{number}.{suffix}")
    (folder / "train" / "7.png").write_bytes((folder / "train" / "3.png").read_bytes())
    labels = [CLASSES[number % 10] for number in range(30)]
    pd.DataFrame({"id": range(1, 31), "label": labels}).to_csv(folder / "trainLabels.csv", index=False)
    pd.DataFrame({"id": range(1, 11), "label": "cat"}).to_csv(folder / "sampleSubmission.csv", index=False)
    return folder


def _prepare(raw, tmp_path):
    return prepare(Competition(), Source("folder", raw, None), tmp_path / "data")


def test_the_manifest_has_one_checked_row_for_each_image_in_natural_order(raw, tmp_path):
    data = _prepare(raw, tmp_path)
    assert list(data.train["image_id"]) == [str(number) for number in range(1, 31)]
    assert {"image_id", "path", "label", "width", "height", "content_hash"} <= set(data.train.columns)
    assert set(data.train["width"]) == {32}
    same = data.train.set_index("image_id")["content_hash"]
    assert same["3"] == same["7"]
    assert same.nunique() == 29


def test_packed_pixels_are_the_files_pixels_in_manifest_order(raw, tmp_path):
    data = _prepare(raw, tmp_path)
    packed = data.images("train").packed
    assert isinstance(packed, np.memmap)
    for row in (0, 1, 29):
        with Image.open(data.train["path"].iat[row]) as image:
            assert np.array_equal(packed[row], np.asarray(image.convert("RGB")))


def test_images_of_two_sizes_are_not_packed(raw, tmp_path):
    Image.new("RGB", (40, 32)).save(raw / "test" / "4.png")
    data = _prepare(raw, tmp_path)
    assert data.images("train").packed is None
    assert data.images("test").packed is None
    assert data.test.set_index("image_id").loc["4", "width"] == 40


class Annotated(Competition):
    """As if annotations named the size of each training image: 32 x 32, but for those given here."""

    def __init__(self, others: dict[str, tuple]) -> None:
        self.others = others

    def load_train(self, raw):
        frame = super().load_train(raw)
        sizes = [self.others.get(image_id, (32, 32)) for image_id in frame["image_id"]]
        return frame.assign(width=[size[0] for size in sizes], height=[size[1] for size in sizes])


@pytest.mark.parametrize("unknown", [None, 0])
def test_annotated_sizes_may_be_missing_and_are_then_the_decoded_ones(raw, tmp_path, unknown):
    competition = Annotated({"2": (unknown, unknown)})
    data = prepare(competition, Source("folder", raw, None), tmp_path / "data")
    assert set(data.train["width"]) == set(data.train["height"]) == {32}


def test_annotated_sizes_that_are_not_the_decoded_ones_are_refused_by_id(raw, tmp_path):
    """EXIF turns an annotated photo, or it is a resized copy: its boxes are somewhere else in it."""
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("RGB", (40, 30)).save(raw / "train" / "4.jpg", exif=turned)
    Image.new("RGB", (80, 60)).save(raw / "train" / "5.png")
    competition = Annotated({"2": (None, None), "4": (40, 30), "5": (40, 30)})
    with pytest.raises(
        UserError,
        match=r"^2 image\(s\) have another size than their annotations say: "
        r"4 \(40 x 30, decoded 30 x 40\), 5 \(40 x 30, decoded 80 x 60\); use the images that",
    ):
        prepare(competition, Source("folder", raw, None), tmp_path / "data")


def test_raw_is_left_as_it_was(raw, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in raw.rglob("*")}
    _prepare(raw, tmp_path)
    assert {path: path.stat().st_mtime_ns for path in raw.rglob("*")} == before


def test_nothing_is_done_again_until_something_changes(raw, tmp_path):
    first = _prepare(raw, tmp_path)
    stamp = (first.folder / "train.npy").stat().st_mtime_ns
    assert _prepare(raw, tmp_path).identity == first.identity
    assert (first.folder / "train.npy").stat().st_mtime_ns == stamp
    Image.new("RGB", (32, 32), (1, 2, 3)).save(raw / "train" / "30.jpg")
    changed = _prepare(raw, tmp_path)
    assert changed.train_identity != first.train_identity
    assert changed.test_identity == first.test_identity
    assert changed.folder != first.folder


def test_images_are_decoded_once_for_their_size_and_time(raw, tmp_path, monkeypatch):
    _prepare(raw, tmp_path)
    opened = []
    monkeypatch.setattr(Image, "open", lambda path, real=Image.open: (opened.append(path), real(path))[1])
    labels = pd.read_csv(raw / "trainLabels.csv").assign(label="cat")
    labels.loc[0, "label"] = "dog"
    labels.to_csv(raw / "trainLabels.csv", index=False)
    Image.new("RGB", (40, 32)).save(raw / "test" / "4.png")
    assert set(_prepare(raw, tmp_path).train["label"]) == {"cat", "dog"}
    assert opened == [str(raw / "test" / "4.png")]


def _through_a_link(raw, tmp_path):
    (tmp_path / "link").symlink_to(raw)
    return tmp_path / "link"


def _another_spelling(raw, tmp_path):
    return raw / ".." / raw.name


def _touched(raw, tmp_path):
    for path in raw.rglob("*.png"):
        path.touch()
    return raw


def _with_hidden_files(raw, tmp_path):
    (raw / ".notes").write_text("mine")
    (raw / "train" / ".DS_Store").write_text("macOS")
    return raw


def _copied(raw, tmp_path):
    return shutil.copytree(raw, tmp_path / "copy")


@pytest.mark.parametrize("place", [_through_a_link, _another_spelling, _touched, _with_hidden_files, _copied])
def test_the_same_content_is_the_same_data_wherever_it_lies(raw, tmp_path, place):
    first = _prepare(raw, tmp_path)
    other = _prepare(place(raw, tmp_path), tmp_path)
    assert (other.identity, other.folder) == (first.identity, first.folder)
    assert all(Path(path).exists() for path in other.train["path"])
    assert open_prepared(other.folder).train["path"].tolist() == other.train["path"].tolist()


@pytest.mark.parametrize("name", ["train.npy", "test.parquet", "train.parquet", "meta.json"])
@pytest.mark.parametrize("damage", ["zeroed", "cut", "gone"])
def test_prepared_files_that_are_not_the_ones_written_are_made_again(raw, tmp_path, name, damage):
    first = _prepare(raw, tmp_path)
    path, images = first.folder / name, np.array(first.images("train").packed)
    content = path.read_bytes()
    {
        "zeroed": lambda: path.write_bytes(bytes(len(content))),
        "cut": lambda: path.write_bytes(content[: len(content) // 2]),
        "gone": path.unlink,
    }[damage]()
    again = _prepare(raw, tmp_path)
    assert again.identity == first.identity
    assert again.train.equals(first.train) and np.array_equal(again.images("train").packed, images)


def test_a_damaged_table_of_decoded_images_is_made_again(raw, tmp_path):
    first = _prepare(raw, tmp_path)
    (first.folder.parent / "decoded.parquet").write_bytes(b"no table")
    assert _prepare(raw, tmp_path).identity == first.identity


def test_what_the_user_keeps_beside_the_data_stays(raw, tmp_path):
    mine = tmp_path / "data" / "prepared" / ".mine" / "notes.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("do not lose")
    left = tmp_path / "data" / "prepared" / f"{TEMPORARY}train.parquet.12345678"
    left.write_text("a killed run's")
    _prepare(raw, tmp_path)
    assert mine.read_text() == "do not lose" and not left.exists()


def test_a_failed_rebuild_keeps_nothing_half_written(raw, tmp_path):
    (raw / "test" / "4.png").write_bytes(b"\x89PNG")
    with pytest.raises(UserError, match=r"image 4: .*4\.png"):
        _prepare(raw, tmp_path)
    assert [path for path in (tmp_path / "data" / "prepared").iterdir() if path.is_dir()] == []


def test_class_folders_are_hard_links_to_the_raw_files(raw, tmp_path):
    data = _prepare(raw, tmp_path)
    folds = pd.DataFrame({"image_id": data.train["image_id"], "fold": [0] * 6 + [1] * 24})
    target = tmp_path / "train_valid_test"
    export_class_folders(data, folds, target)
    counts = {
        kind: len(list((target / kind).glob("*/*"))) for kind in ("train", "valid", "train_valid", "test")
    }
    assert counts == {"train": 24, "valid": 6, "train_valid": 30, "test": 10}
    linked = target / "train_valid" / data.train["label"].iat[0] / "1.png"
    assert linked.samefile(raw / "train" / "1.png")


def test_true_kaggle_pngs_pair_with_the_full_labels_file(real_data, tmp_path, capfd):
    raw = open_raw(real_data / "cifar10_png200", tmp_path / "extracted")
    with pytest.raises(UserError, match="49,800 of 50,000 labels without files: 201, 202"):
        Competition().load_train(raw)
    labels = raw.read_csv("trainLabels.csv", ["id", "label"]).rename(columns={"id": "image_id"})
    frame = pair_labels(labels, raw.images("train"), "trainLabels.csv", "train", tolerance=1)
    assert sorted(frame["image_id"], key=int) == [str(number) for number in range(1, 201)]
    assert "49,800 labels without files, left out: 201, 202" in capfd.readouterr().err


@pytest.mark.slow
def test_all_of_cifar10_takes_a_minute_once_two_seconds_again_and_little_memory(real_data, tmp_path):
    program = (
        "import sys, time, resource; from pathlib import Path;"
        "from competitions.cifar10.competition import Competition;"
        "from pipeline.competition.prepare import prepare; from pipeline.competition.sources import Source;"
        "start = time.monotonic();"
        "data = prepare(Competition(), Source('folder', Path(sys.argv[1]), None), Path(sys.argv[2]));"
        "print(len(data.train), len(data.test), time.monotonic() - start,"
        " resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
    )
    command = [sys.executable, "-c", program, str(real_data / "cifar10"), str(tmp_path)]
    runs = [
        subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() for _ in range(2)
    ]
    assert [run[:2] for run in runs] == [["50000", "10000"]] * 2
    cold, warm = (float(run[2]) for run in runs)
    assert cold < 60
    assert warm < 2
    assert max(float(run[3]) for run in runs) < 1024  # MB
