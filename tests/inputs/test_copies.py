"""A kept copy changes how fast an image is read, and nothing else."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline.config.reach import Reach
from pipeline.inputs.batches import Images
from pipeline.inputs.copies import Copies
from pipeline.inputs.filling import fill_copies
from pipeline.raw.images import content_hash, read_rgb
from pipeline.raw.levels import Levels
from pipeline.readers.arrays import Arrays
from pipeline.readers.decoding import Decoding

REACH = Reach(130, 130)
COUNT = 6


@pytest.fixture(scope="module")
def frame(tmp_path_factory) -> pd.DataFrame:
    """Large photographs, one of them too small to be made smaller."""
    folder, random, rows = tmp_path_factory.mktemp("photos"), np.random.default_rng(0), []
    for number in range(COUNT):
        size = (320, 400) if number else (100, 140)
        coarse = random.uniform(0, 255, (6, 6, 3)).astype("uint8")
        path = folder / f"{number}.{'png' if number == 1 else 'jpg'}"
        Image.fromarray(cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)).save(path)
        hashed = content_hash(read_rgb(path, ""))
        rows.append((str(number), str(path), size[1], size[0], hashed))
    return pd.DataFrame(rows, columns=["image_id", "path", "width", "height", "content_hash"])


@pytest.fixture
def copies(tmp_path) -> Copies:
    return Copies(tmp_path / "copies")


def of(frame: pd.DataFrame, copies: Copies | None = None, reach: Reach = REACH) -> Images:
    return Images(frame, None, reach=reach, copies=copies)


def files(copies: Copies) -> list[Path]:
    return sorted(path for path in copies.folder.rglob("*") if path.suffix == ".copy")


def read(images: Images) -> list[np.ndarray]:
    return [images.read(row) for row in range(len(images))]


def test_images_are_the_same_with_and_without_copies(frame, copies, capsys):
    streamed, unkept = read(of(frame)), read(of(frame, copies))
    fill_copies([of(frame, copies)], copies, None)
    assert f"smaller copies of {COUNT - 1} images, " in capsys.readouterr().err
    assert len(files(copies)) == COUNT - 1
    kept = read(of(frame, copies))
    for one, other, third in zip(streamed, unkept, kept, strict=True):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(one, third)
    assert [image.shape[:2] for image in kept] == [(100, 140)] + [(130, 163)] * (COUNT - 1)


def test_copies_are_read_and_not_the_files(frame, copies):
    fill_copies([of(frame, copies)], copies, None)
    lost = frame.assign(path=[f"/nowhere/{Path(path).name}" for path in frame["path"]])
    read(of(lost.iloc[1:], copies))


def test_a_copy_looks_like_the_image(frame):
    for image, path in zip(read(of(frame)), frame["path"], strict=True):
        whole = read_rgb(path, "")
        small = cv2.resize(whole, image.shape[1::-1], interpolation=cv2.INTER_AREA)
        assert np.abs(image.astype(int) - small).mean() < 1.5


def test_small_copies_keep_every_value(frame, copies):
    png = frame.iloc[1:2].reset_index(drop=True)
    image = of(png, copies, Reach(60, 60)).read(0)
    np.testing.assert_array_equal(image, read_rgb(png["path"][0], "", reach=Reach(60, 60)))


def test_arrays_keep_every_value(tmp_path, copies):
    values = np.random.default_rng(0).random((300, 200, 5)).astype("float32")
    np.save(tmp_path / "a.npy", values)
    frame = pd.DataFrame(
        {
            "image_id": ["a"],
            "path": [str(tmp_path / "a.npy")],
            "width": 200,
            "height": 300,
            "content_hash": "c",
        }
    )
    images = Images(frame, None, Decoding(Arrays(), Levels(0, 1), 5), REACH, copies)
    fill_copies([images], copies, None)
    means = cv2.resize(values[..., :4], (130, 195), interpolation=cv2.INTER_AREA)
    np.testing.assert_allclose(images.read(0)[..., :4], means, atol=1e-6)
    assert len(files(copies)) == 1


def test_only_what_is_missing_is_made(frame, copies):
    fill_copies([of(frame.iloc[:3].reset_index(drop=True), copies)], copies, None)
    first = {path: path.stat().st_mtime_ns for path in files(copies)}
    (copies.folder / ".tmp-left").mkdir()
    fill_copies([of(frame, copies)], copies, None)
    assert len(files(copies)) == COUNT - 1
    assert {path: path.stat().st_mtime_ns for path in first} == first


@pytest.mark.parametrize("damage", [lambda content: content[: len(content) // 2], lambda content: b""])
def test_a_damaged_copy_is_made_again(frame, copies, damage):
    fill_copies([of(frame, copies)], copies, None)
    before = {path: path.read_bytes() for path in files(copies)}
    for path, content in before.items():
        path.write_bytes(damage(content))
    for one, other in zip(read(of(frame)), read(of(frame, copies)), strict=True):
        np.testing.assert_array_equal(one, other)
    assert {path: path.read_bytes() for path in files(copies)} == before


def test_copies_take_no_more_room_than_they_may(frame, copies, capsys):
    fill_copies([of(frame, copies)], copies, None)
    sizes = sorted(path.stat().st_size for path in files(copies))
    for path in files(copies):
        path.unlink()
    bound = sum(sizes) / 2
    fill_copies([of(frame, copies)], copies, bound / 1e9)
    assert 0 < sum(path.stat().st_size for path in files(copies)) <= bound
    said = capsys.readouterr().err
    assert "more are made smaller each time they are read" in said and "--cache-gb" in said
    assert len(read(of(frame, copies))) == COUNT


def test_what_nobody_asks_for_makes_room(frame, copies):
    fill_copies([of(frame, copies, Reach(140, 140))], copies, None)
    old = files(copies)
    bound = 1.3 * sum(path.stat().st_size for path in old)
    fill_copies([of(frame, copies)], copies, bound / 1e9)
    kept = set(files(copies))
    assert all(of(frame, copies).copy(row) in kept for row in range(1, COUNT))
    assert set(old) - kept


def test_nothing_is_written_where_there_is_no_room(frame, copies):
    fill_copies([of(frame, copies)], copies, 0)
    assert not files(copies)
