"""Images that are no photographs, from the folder's own reader to a network that was trained on them."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from pipeline.base.errors import UserError
from pipeline.competition import base
from pipeline.competition.identity import training_code
from pipeline.competition.prepare import prepare
from pipeline.competition.prepared import open_prepared
from pipeline.competition.sources import Source
from pipeline.metrics.usual import ACCURACY
from pipeline.readers.reader import Reader
from pipeline.tasks.classification.task import Classification


@dataclass(frozen=True)
class Halves(Reader):
    """The two halves of a row of numbers, and how often they are to be doubled."""

    doubled: int = 0

    def read(self, row):
        values = np.load(row["path"])
        return np.dstack([values[:, :6], values[:, 6:]]) * 2**self.doubled


class Competition(base.Competition):
    task = Classification()
    metric = ACCURACY
    reader: Reader = Halves()

    def load_train(self, raw):
        frame = raw.images("train", suffixes=[".npy"])
        return frame.assign(label=[str(int(name) % 2) for name in frame["image_id"]])

    def load_test(self, raw):
        return raw.images("test", suffixes=[".npy"])

    def make_sample(self, raw, seed):
        raise NotImplementedError


@pytest.fixture
def raw(tmp_path):
    """Twelve training and four test arrays (5, 12) whose halves are around -30 and around 400."""
    random = np.random.default_rng(0)
    for split, count in (("train", 12), ("test", 4)):
        (tmp_path / "raw" / split).mkdir(parents=True)
        for number in range(count):
            values = random.normal(np.repeat([-30, 400], 6), np.repeat([5, 80], 6), (5, 12))
            np.save(tmp_path / "raw" / split / f"{number}.npy", values.astype("float32"))
    return tmp_path / "raw"


def prepared(raw, tmp_path, competition=None, **options):
    return prepare(competition or Competition(), Source("folder", raw, None), tmp_path / "data", **options)


class Told(Competition):
    levels = ((-60, 0), (0, 1000))


class Doubled(Competition):
    reader = Halves(doubled=1)


def test_the_range_and_the_statistics_are_measured_told_and_kept(raw, tmp_path, capsys):
    data = prepared(raw, tmp_path)
    told = capsys.readouterr().err
    assert "note: 12 of 12 training images looked at have float32 values in 2 channel(s): (" in told
    decoding, images = data.decoding, data.images("train")
    assert decoding.deep and decoding.channels == 2 and decoding.statistics is not None
    pixels = np.stack([images.read(row) for row in range(12)])
    assert pixels.dtype == np.float32 and pixels.min() == 0 and pixels.max() == 1
    np.testing.assert_allclose(decoding.statistics.mean, pixels.mean(axis=(0, 1, 2)), rtol=1e-4)
    np.testing.assert_allclose(decoding.statistics.std, pixels.std(axis=(0, 1, 2)), rtol=1e-4)
    assert images.packed is not None and images.packed.dtype == np.float32
    assert open_prepared(data.folder, Competition.reader).decoding == decoding
    again = prepared(raw, tmp_path)
    assert again.identity == data.identity and "note" not in capsys.readouterr().err


def test_packed_and_read_images_are_the_same(raw, tmp_path):
    images = prepared(raw, tmp_path).images("test")
    rows = [
        {"image_id": name, "path": path}
        for name, path in zip(images.frame["image_id"], images.frame["path"], strict=True)
    ]
    np.testing.assert_array_equal(images.packed, np.stack([images.decoding.image(row) for row in rows]))


def test_named_levels_cut_off_what_is_outside(raw, tmp_path):
    data = prepared(raw, tmp_path, Told())
    values = np.load(raw / "test" / "0.npy")
    expected = np.dstack([(values[:, :6] + 60) / 60, values[:, 6:] / 1000]).clip(0, 1)
    np.testing.assert_allclose(data.images("test").read(0), expected, atol=1e-6)


@pytest.mark.parametrize("levels", [(1, 0), (0, (1, 2)), ((0, 0, 0), (1, 1, 1)), (0, 1, 2)])
def test_levels_that_make_no_sense_are_refused(raw, tmp_path, levels):
    competition = type("Odd", (Competition,), {"levels": levels})()
    with pytest.raises(UserError, match="the competition's levels are"):
        prepared(raw, tmp_path, competition)


def test_another_reader_or_another_file_is_other_data(raw, tmp_path):
    first = prepared(raw, tmp_path)
    doubled = prepared(raw, tmp_path, Doubled())
    assert doubled.decoding.levels.low[0] == 2 * first.decoding.levels.low[0]
    np.save(raw / "test" / "2.npy", np.load(raw / "test" / "3.npy"))
    changed = prepared(raw, tmp_path)
    assert changed.train_identity == first.train_identity
    assert changed.test_identity != first.test_identity
    assert changed.test["content_hash"][2] == changed.test["content_hash"][3]


def test_the_code_of_a_reader_is_among_what_trains():
    from tests.gallery.seti.competition import CONFIGS
    from tests.gallery.seti.competition import Competition as Seti

    assert any(name.endswith("Competition.reader") for name in training_code(Seti(), CONFIGS["sample"]))


CONTRADICTIONS = {
    "far": (np.full((5, 12), 1e6, "float32"), "values from 1e\\+06 to 1e\\+06, and of the training"),
    "nan": (np.full((5, 12), np.nan, "float32"), "no finite numbers"),
    "shallow": (np.zeros((5, 12), "uint8"), "it has 8 bits, and training images have more"),
}


@pytest.mark.parametrize("kind", ["far", "nan", "shallow"])
def test_a_test_image_that_contradicts_the_training_images_is_named(raw, tmp_path, kind):
    values, message = CONTRADICTIONS[kind]
    np.save(raw / "test" / "2.npy", values)
    with pytest.raises(UserError, match=rf"image 2: .*2\.npy.*{message}"):
        prepared(raw, tmp_path)


def test_a_test_image_that_cannot_be_read_is_predicted_from_the_mean(raw, tmp_path, capsys):
    (raw / "test" / "2.npy").write_bytes(b"")
    data = prepared(raw, tmp_path, on_bad_image="warn")
    assert "1 test images are predicted blindly" in capsys.readouterr().err
    blank = data.images("test").read(2)
    assert blank.shape == (5, 6, 2) and blank.dtype == np.float32
    mean = np.mean([data.images("train").read(row) for row in range(12)], axis=(0, 1, 2))
    np.testing.assert_allclose(blank[0, 0], mean, rtol=1e-5)


def test_a_column_that_a_reader_needs_must_be_there(raw, tmp_path):
    @dataclass(frozen=True)
    class Placed(Halves):
        @property
        def columns(self):
            return ("start",)

    competition = type("Lacking", (Competition,), {"reader": Placed()})()
    with pytest.raises(UserError, match=r"Placed reads the column\(s\) start"):
        prepared(raw, tmp_path, competition)


def test_a_run_reads_test_images_as_it_read_its_own(raw, tmp_path):
    """A kernel's raw files may have other training images, or fewer."""
    first = prepared(raw, tmp_path)
    for path in (raw / "train").iterdir():
        np.save(path, np.load(path) * 10)
    other = prepared(raw, tmp_path)
    assert other.decoding.levels != first.decoding.levels
    for path in (raw / "train").iterdir():
        np.save(path, np.load(path) / 12)
    kept = prepared(raw, tmp_path, decoding=first.decoding)
    assert kept.decoding == first.decoding
    np.testing.assert_array_equal(kept.images("test").read(1), first.images("test").read(1))


def test_the_frame_of_places_makes_each_image_its_own():
    from pipeline.competition.decoded import key_of, rows_of
    from pipeline.readers.regions import TiffRegion

    frame = pd.DataFrame({"image_id": ["a", "b"], "path": "x.tif", "top": [0, 64], "left": [0, 0]})
    reader = TiffRegion(side=64)
    keys = [key_of(reader, row) for row in rows_of(reader, frame)]
    assert len(set(keys)) == 2 and all(key.startswith("x.tif|") for key in keys)
