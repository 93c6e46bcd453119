"""Smaller images are what averaging all pixels gives, however the file is read."""

import cv2
import numpy as np
import pytest
from PIL import Image

from pipeline.base.errors import UserError
from pipeline.config.reach import Reach
from pipeline.raw.images import read_rgb
from pipeline.raw.shrink import resized, shrunk

REACH = Reach(50, 50)


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    """RGB (330, 470), smooth, without symmetry."""
    noise = np.random.default_rng(0).uniform(50, 205, (7, 9, 3)).astype("float32")
    return cv2.resize(noise, (470, 330), interpolation=cv2.INTER_CUBIC).clip(0, 255).astype("uint8")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("side", [40, 50, 100, 150, 250])
def test_a_jpeg_is_reduced_while_it_is_decoded_and_stands_upright(tmp_path, photograph, orientation, side):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path, reach = tmp_path / "x.jpg", Reach(side, side)
    Image.fromarray(photograph).save(path, quality=95, subsampling=0, exif=exif)
    whole, small = read_rgb(path, "x"), read_rgb(path, "x", reach=reach)
    expected = shrunk(whole, reach)
    assert small.shape == expected.shape
    assert min(small.shape[:2]) == side
    assert np.abs(small.astype(int) - expected).mean() < 1.5  # moved by a pixel: 2.5 to 9


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "CMYK", "I;16"])
def test_other_files_are_decoded_whole_first(tmp_path, photograph, mode):
    suffix = "tif" if mode == "CMYK" else "png"
    if mode == "I;16":
        image = Image.fromarray(photograph[..., 0].astype("uint16") * 257)
    else:
        image = Image.fromarray(photograph).convert(mode)
    path = tmp_path / f"x.{suffix}"
    image.save(path)
    small = read_rgb(path, "x", reach=REACH)
    np.testing.assert_array_equal(small, shrunk(read_rgb(path, "x"), REACH))
    assert small.shape == (50, 72, 3)


def test_a_truncated_file_is_refused_at_any_size(tmp_path, photograph):
    path = tmp_path / "x.jpg"
    Image.fromarray(photograph).save(path)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(UserError, match="image x"):
        read_rgb(path, "x", reach=REACH)


def test_a_file_that_lacks_its_end_marker_alone_is_read(tmp_path, photograph):
    path = tmp_path / "x.jpg"
    Image.fromarray(photograph).save(path)
    expected = read_rgb(path, "x", reach=REACH)
    path.write_bytes(path.read_bytes()[:-2])
    np.testing.assert_array_equal(read_rgb(path, "x", reach=REACH), expected)


@pytest.mark.parametrize("channels", [1, 3, 4, 9])
def test_images_have_any_number_of_channels(channels):
    image = np.random.default_rng(0).random((60, 90, channels)).astype("float32")
    small = resized(image, (20, 30))
    np.testing.assert_allclose(small, image.reshape(20, 3, 30, 3, channels).mean(axis=(1, 3)), atol=1e-6)
