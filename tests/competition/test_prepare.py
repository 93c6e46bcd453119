"""Reorganising: a checked manifest, packed pixels, rebuilt only when something changed."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from competitions.cifar10.competition import CLASSES, Competition
from pipeline.base.errors import TEMPORARY, UserError
from pipeline.competition.decoded import DecodedCache, file_hashes
from pipeline.competition.prepare import prepare
from pipeline.competition.prepared import open_prepared
from pipeline.competition.sources import Source
from pipeline.frame.pairing import pair_labels
from pipeline.raw.files import open_raw
from pipeline.readers.photographs import Photographs
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


def test_copies_are_named_and_so_are_those_with_other_labels(raw, tmp_path, capsys):
    shutil.copy(raw / "train" / "5.png", raw / "test" / "9.png")
    _prepare(raw, tmp_path)
    told = capsys.readouterr().err
    copies = "exact copies: 1 within train (kept in one fold): 3 = 7; 1 of train in test: 9 = 5\n"
    assert copies in told
    assert "warning: 1 picture(s) have other targets in each copy: 3 = 7; correct them" in told


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
    assert open_prepared(other.folder, Photographs()).train["path"].tolist() == other.train["path"].tolist()


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


def _break(raw):
    """Two training and three test images that cannot be read, each in its own way."""
    (raw / "train" / "6.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    (raw / "train" / "9.png").unlink()
    (raw / "train" / "9.png").symlink_to("gone.png")
    for name in ("2", "4", "8"):
        (raw / "test" / f"{name}.png").write_bytes(b"\x89PNG")


def test_all_images_that_cannot_be_read_are_named_at_once(raw, tmp_path):
    _break(raw)
    with pytest.raises(UserError, match=r"5 image files cannot be read: .*--on-bad-image warn") as caught:
        _prepare(raw, tmp_path)
    listing = (tmp_path / "data" / "prepared" / "unreadable.txt").read_text()
    for name in ("train 6", "train 9", "test 2", "test 4", "test 8"):
        assert f"{name} (" in str(caught.value) and f"{name}: " in listing
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("again", [False, True])
def test_on_request_the_data_are_prepared_without_them(raw, tmp_path, capsys, again):
    whole = _prepare(raw, tmp_path)
    _break(raw)
    source = Source("folder", raw, None)
    data = prepare(Competition(), source, tmp_path / "data", "warn")
    if again:
        capsys.readouterr()
        assert prepare(Competition(), source, tmp_path / "data", "warn").identity == data.identity
    said = capsys.readouterr().err
    assert "warning: 2 training images are left out, as their files cannot be read: 6, 9" in said
    assert "warning: 3 test images are predicted blindly, as their files cannot be read: 2, 4, 8" in said
    assert set(whole.train["image_id"]) - set(data.train["image_id"]) == {"6", "9"}
    assert data.test["image_id"].tolist() == whole.test["image_id"].tolist()
    assert data.test_identity != whole.test_identity
    blank = data.images("test").read(1)
    mean = np.mean([data.images("train").read(row) for row in range(28)], axis=(0, 1, 2))
    np.testing.assert_allclose(blank, np.broadcast_to(np.rint(mean), (32, 32, 3)), atol=1)
    assert data.images("test").packed is not None


def test_without_any_training_image_there_is_nothing_to_go_on_with(raw, tmp_path):
    for path in (raw / "train").iterdir():
        path.write_bytes(b"")
    with pytest.raises(UserError, match="no training image can be read"):
        prepare(Competition(), Source("folder", raw, None), tmp_path / "data", "warn")


@pytest.fixture
def deep(raw):
    """As `raw`, in 12 bits of 16."""
    random = np.random.default_rng(0)
    for path in [*raw.glob("train/*"), *raw.glob("test/*")]:
        path.unlink()
        values = random.integers(0, 4096, (32, 32), dtype="uint16")
        Image.fromarray(values).save(path.with_suffix(".png"))
    return raw


def test_one_measured_range_is_used_everywhere_and_told_once(deep, tmp_path, capsys):
    Image.fromarray(np.full((32, 32), 2048, dtype="uint16")).save(deep / "test" / "1.png")
    data = _prepare(deep, tmp_path)
    assert "note: 30 of 30 training images looked at have more than 8 bits: 0 is read as black" in (
        capsys.readouterr().err
    )
    again = open_prepared(data.folder, Photographs())
    assert data.decoding.levels == (0, 4095, False) == again.decoding.levels
    assert data.images("test").decoding == data.decoding
    assert (np.asarray(data.images("test").packed)[0] == 128).all()
    assert len(np.unique(np.asarray(data.images("train").packed))) == 256
    assert _prepare(deep, tmp_path).identity == data.identity and "note:" not in capsys.readouterr().err


def test_images_that_contradict_the_range_are_named_and_the_competition_can_name_it(deep, tmp_path):
    Image.fromarray(np.full((32, 32), 40_000, dtype="uint16")).save(deep / "test" / "3.png")
    with pytest.raises(UserError, match=r"^image 3: .*from 40000 to 40000, .* levels = \(low, high\)"):
        _prepare(deep, tmp_path)

    class Named(Competition):
        levels = (0, 65535)

    data = prepare(Named(), Source("folder", deep, None), tmp_path / "data")
    assert (data.images("test").read(2) == 156).all() and data.images("train").read(0).max() < 16


def test_masks_that_are_no_files_are_one_sentence(tmp_path):
    cache = DecodedCache(tmp_path / "decoded.parquet")
    (tmp_path / "loop.png").symlink_to("loop.png")
    os.mkfifo(tmp_path / "pipe.png")
    paths = [str(tmp_path / f"{name}.png") for name in ("loop", "pipe", "gone")]
    with pytest.raises(UserError, match=r"3 file\(s\) cannot be read: .*loop.png, .*pipe.png, .*gone.png"):
        file_hashes(cache, paths)


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


def test_files_of_one_name_and_one_label_are_exported_by_their_ids(raw, tmp_path):
    data = _prepare(raw, tmp_path)
    data = replace(data, train=data.train.assign(label="cat"), classes=["cat"])
    first, second = data.train["path"][:2]
    other = raw / "more" / Path(first).name
    other.parent.mkdir()
    shutil.copy(second, other)
    data.train.loc[1, ["image_id", "path"]] = ["more/2", str(other)]
    folds = pd.DataFrame({"image_id": data.train["image_id"], "fold": 1})
    export_class_folders(data, folds, tmp_path / "out")
    made = sorted(path.name for path in (tmp_path / "out" / "train" / "cat").iterdir())
    assert "1.png" in made and "more_2.png" in made and len(made) == 30
    assert (tmp_path / "out" / "train" / "cat" / "more_2.png").samefile(other)


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
