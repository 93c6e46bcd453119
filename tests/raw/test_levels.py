"""Images of more than 8 bits: black and white are measured once, or named, and never guessed."""

import cv2
import numpy as np
import pytest
from PIL import Image

from pipeline.base.errors import UserError
from pipeline.raw.images import read_rgb
from pipeline.raw.levels import Levels, measure


def saved(path, values: np.ndarray) -> str:
    """Grey values by Pillow, colours by OpenCV, which writes all of their bits."""
    if values.ndim == 2:
        Image.fromarray(values).save(path)
    else:
        assert cv2.imwrite(str(path), values[..., [2, 1, 0, *range(3, values.shape[2])]])
    return str(path)


def ramp(low: float, high: float, dtype: str) -> np.ndarray:
    """(2, 256) values from `low` to `high`."""
    return np.tile(np.linspace(low, high, 256), (2, 1)).astype(dtype)


@pytest.mark.parametrize(
    "suffix, dtype, low, high, levels",
    [
        ("png", "uint16", 0, 65535, (0, 65535)),
        ("png", "uint16", 0, 4095, (0, 4095)),
        ("png", "uint16", 70, 3000, (0, 4095)),
        ("png", "uint16", 0, 16000, (0, 16383)),
        ("png", "uint16", 0, 255, (0, 255)),
        ("png", "uint16", 0, 3, (0, 3)),
        ("tif", "uint16", 0, 1000, (0, 1023)),
        ("tif", "int32", -1024, 3071, (-1024, 3071)),
        ("tif", "int32", 0, 4000, (0, 4095)),
        ("tif", "int32", 0, 10**6, (0, 10**6)),
        ("tif", "float32", 0, 1, (0, 1)),
        ("tif", "float32", 0, 0.9, (0, 1)),
        ("tif", "float32", 0, 250.5, (0, 255)),
        ("tif", "float32", -2, 6, (-2, 6)),
        ("tif", "float32", 0, 0.001, (0, 0.001)),
    ],
)
def test_the_range_is_measured_and_fills_0_to_255(tmp_path, suffix, dtype, low, high, levels):
    values = ramp(low, high, dtype)
    path = saved(tmp_path / f"x.{suffix}", values)
    measured = measure([path])
    assert measured.levels == pytest.approx((*levels, False))
    assert (
        len(measured.notes) == 1
        and "1 of 1 training images looked at have more than 8 bits" in measured.notes[0]
    )
    image = read_rgb(path, "x", measured.levels)
    expected = np.rint(255 * (values.astype("float64") - levels[0]) / (levels[1] - levels[0]))
    np.testing.assert_allclose(image[..., 0], expected, atol=1)
    assert (image[..., 0] == image[..., 2]).all()


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("channels", [3, 4])
def test_colours_keep_all_their_bits(tmp_path, suffix, channels):
    """12 bits in 16-bit channels: the high bytes alone would leave 16 levels."""
    values = np.stack([ramp(0, 4095, "uint16"), ramp(4095, 0, "uint16"), ramp(0, 2000, "uint16")], axis=2)
    alpha = np.full((2, 256, channels - 3), 65535, dtype="uint16")
    path = saved(tmp_path / f"x.{suffix}", np.concatenate([values, alpha], axis=2))
    image = read_rgb(path, "x", measure([path]).levels)
    np.testing.assert_allclose(image, np.rint(255.0 * values / 4095), atol=1)
    assert len(np.unique(image[..., 0])) == 256


def test_of_16_bits_in_use_the_high_byte_is_read(tmp_path):
    """Values so large leave no doubt, whatever the training images are."""
    path = saved(tmp_path / "x.png", np.array([[0, 255, 256, 32768, 65535]], dtype="uint16"))
    for levels in (None, Levels(0, 65535)):
        assert read_rgb(path, "x", levels)[0, :, 0].tolist() == [0, 0, 1, 128, 255]


def test_one_range_holds_for_dark_and_bright_images(tmp_path):
    dark, bright = (
        saved(tmp_path / "d.png", ramp(0, 300, "uint16")),
        saved(tmp_path / "b.png", ramp(0, 4000, "uint16")),
    )
    levels = measure([dark, bright]).levels
    assert read_rgb(dark, "d", levels).max() == 300 // 16


def test_images_of_8_bits_have_no_levels_and_are_read_as_they_are(tmp_path):
    path = saved(tmp_path / "x.png", ramp(0, 200, "uint8"))
    assert measure([path]).levels is None and measure([path]).notes == ()
    assert read_rgb(path, "x", Levels(0, 4095)).max() == 200


@pytest.mark.parametrize(
    "values, levels, message",
    [
        (ramp(0, 4095, "uint16"), None, "stores uint16 values from 0 to 4095, .* have 8 bits"),
        (ramp(0, 65535, "uint16"), Levels(0, 4095), "from 0 to 65535, .* go from 0 to 4095"),
        (ramp(-3000, 3000, "int32"), Levels(-1024, 3071), "from -3000 to 3000"),
        (ramp(0, 255, "float32"), Levels(0, 1), "from 0 to 255"),
        (np.full((2, 2), np.nan, "float32"), Levels(0, 1), "no finite numbers"),
    ],
)
def test_what_contradicts_the_range_is_refused(tmp_path, values, levels, message):
    path = saved(tmp_path / "x.tif", values)
    with pytest.raises(UserError, match=f"^image img_7: {path}: .*{message}"):
        read_rgb(path, "img_7", levels)


def test_a_little_outside_is_cut_off_and_a_named_range_cuts_off_all(tmp_path):
    near, far = (
        saved(tmp_path / "n.tif", ramp(-0.02, 1.05, "float32")),
        saved(tmp_path / "f.tif", ramp(-9, 9, "float32")),
    )
    assert read_rgb(near, "x", Levels(0, 1))[0, [0, -1], 0].tolist() == [0, 255]
    assert read_rgb(far, "x", Levels(0, 1, cut=True))[0, [0, -1], 0].tolist() == [0, 255]


def test_rotation_is_applied_to_deep_images_too(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(ramp(0, 4095, "uint16")).save(tmp_path / "x.png", exif=exif)
    assert read_rgb(tmp_path / "x.png", "x", Levels(0, 4095)).shape == (256, 2, 3)


def test_pages_and_transparency_are_told(tmp_path):
    page = Image.new("RGB", (4, 4))
    page.save(tmp_path / "a.tif", save_all=True, append_images=[page, page])
    page.convert("RGBA").save(tmp_path / "b.png")
    page.save(tmp_path / "c.png")
    (tmp_path / "d.png").write_bytes(b"no image")
    notes = measure([str(path) for path in sorted(tmp_path.iterdir())] + [str(tmp_path / "none.png")]).notes
    assert [note.partition(" looked at ")[::2] for note in notes] == [
        ("1 of 3 training images", "have several pages or frames: the first is read alone"),
        ("1 of 3 training images", "have transparency: they are laid over white"),
    ]
