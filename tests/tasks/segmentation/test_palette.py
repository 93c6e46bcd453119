"""Mask files are read by index or by exact colour, and what is no class is refused by name."""

import numpy as np
import pytest
from PIL import Image

from pipeline.base.errors import UserError
from pipeline.tasks.segmentation.palette import VOC_CLASSES, VOC_COLORS, write_mask
from pipeline.tasks.segmentation.reading import read_mask


@pytest.fixture
def mask() -> np.ndarray:
    values = np.random.default_rng(0).integers(0, len(VOC_CLASSES), (7, 11)).astype(np.uint8)
    values[0, :3] = 255
    return values


def read(path, count=21):
    return read_mask(path, "img7", count, VOC_COLORS)


def test_the_colours_are_vocs():
    published = {0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 4: (0, 0, 128), 8: (64, 0, 0)}
    published |= {15: (192, 128, 128), 20: (0, 64, 128), 255: (224, 224, 192)}
    assert {index: tuple(VOC_COLORS[index].tolist()) for index in published} == published
    assert len(np.unique(VOC_COLORS, axis=0)) == 256
    assert len(VOC_CLASSES) == 21 and VOC_CLASSES[15] == "person"


def test_what_is_written_is_read_and_is_a_palette_file(mask, tmp_path):
    write_mask(tmp_path / "a.png", mask)
    write_mask(tmp_path / "b.png", mask)
    assert np.array_equal(read(tmp_path / "a.png"), mask)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "P"
        assert np.array_equal(np.asarray(image.convert("RGB")), VOC_COLORS[mask])
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("kind", ["L", "RGB", "RGBA", "I;16"])
def test_every_kind_of_file_gives_the_same_indices(mask, tmp_path, kind):
    image = Image.fromarray(VOC_COLORS[mask] if kind.startswith("RGB") else mask)
    image = Image.fromarray(mask.astype(np.uint16)) if kind == "I;16" else image.convert(kind)
    image.save(tmp_path / "m.png")
    found = read(tmp_path / "m.png")
    assert found.dtype == np.uint8
    assert np.array_equal(found, mask)


def test_exif_rotation_is_not_applied(mask, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(mask).save(tmp_path / "m.png", exif=exif)
    assert np.array_equal(read(tmp_path / "m.png"), mask)


def test_an_index_that_is_no_class_is_named(mask, tmp_path):
    mask[3, 3] = 21
    write_mask(tmp_path / "m.png", mask)
    with pytest.raises(UserError, match=r"img7.*value 21.*0 to 20"):
        read(tmp_path / "m.png")


@pytest.mark.parametrize("color", [(1, 2, 3), (255, 255, 255)])
def test_a_colour_that_is_no_classs_is_named(mask, tmp_path, color):
    pixels = VOC_COLORS[mask]
    pixels[2, 2] = color
    Image.fromarray(pixels).save(tmp_path / "m.png")
    with pytest.raises(UserError, match=rf"img7.*colour \({color[0]}, {color[1]}, {color[2]}\)"):
        read(tmp_path / "m.png")


def test_the_colour_of_an_index_past_the_classes_is_unknown(tmp_path):
    Image.fromarray(VOC_COLORS[np.array([[0, 3]])]).save(tmp_path / "m.png")
    with pytest.raises(UserError, match=r"colour \(128, 128, 0\)"):
        read(tmp_path / "m.png", count=3)


def test_missing_and_broken_files_are_named(tmp_path):
    with pytest.raises(UserError, match=r"img7.*missing"):
        read(tmp_path / "none.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    with pytest.raises(UserError, match=r"img7.*broken\.png is no readable image"):
        read(tmp_path / "broken.png")


def test_only_indices_are_written(tmp_path):
    with pytest.raises(ValueError, match="uint8"):
        write_mask(tmp_path / "m.png", np.zeros((2, 2)))
    assert list(tmp_path.iterdir()) == []


class TestValues:
    def test_the_values_of_classes_and_of_ignored_pixels_are_the_tasks_choice(self, tmp_path):
        Image.fromarray(np.array([[0, 255, 7]], dtype=np.uint8)).save(tmp_path / "m.png")

        def found(values, ignore):
            return read_mask(tmp_path / "m.png", "img7", 2, VOC_COLORS, values, ignore).tolist()

        assert found((0, 255), 7) == [[0, 1, 255]] and found((255, 7), 0) == [[255, 0, 1]]
        with pytest.raises(UserError, match=r"img7.*value 7, and those of the 2 classes are 0, 255; correct"):
            found((0, 255), None)

    @pytest.mark.parametrize("kind", ["LA", "1"])
    def test_greys_with_transparency_and_single_bits(self, tmp_path, kind):
        Image.fromarray(np.array([[0, 255]], dtype=np.uint8)).convert(kind).save(tmp_path / "m.png")
        assert read_mask(tmp_path / "m.png", "img7", 2, VOC_COLORS, (0, 255), None).tolist() == [[0, 1]]

    @pytest.mark.parametrize("kind, value", [("int32", -1), ("float32", 0.5), ("float32", np.nan)])
    def test_numbers_that_do_not_fit_a_byte_are_refused(self, tmp_path, kind, value):
        Image.fromarray(np.array([[0, value]], dtype=kind)).save(tmp_path / "m.tif")
        with pytest.raises(UserError, match=rf"img7.*value {value}, and those of the 21 classes are 0 to 20"):
            read(tmp_path / "m.tif")


class TestPalettes:
    colors = np.array([(0, 0, 0), (200, 0, 0), (0, 200, 0)], dtype=np.uint8)

    def read(self, folder, palette, indices=((0, 1, 1, 2),)):
        image = Image.fromarray(np.array(indices, dtype=np.uint8))
        image.putpalette(np.array(palette, dtype=np.uint8).tobytes())
        image.save(folder / "m.png")
        return read_mask(folder / "m.png", "img7", 3, self.colors).tolist()

    def test_another_order_of_the_classes_colours_is_followed(self, tmp_path):
        assert self.read(tmp_path, self.colors[[2, 0, 1]]) == [[2, 0, 0, 1]]
        assert self.read(tmp_path, self.colors[[1, 0, 2]], [[1, 1]]) == [[0, 0]], "also by what is used"

    @pytest.mark.parametrize(
        "palette",
        [
            [(0, 0, 0), (200, 0, 0), (0, 200, 0)],
            [(0, 0, 0), (1, 1, 1), (2, 2, 2)],
            [(0, 0, 0), (128, 128, 128), (255, 255, 255)],
            [(0, 0, 0), (9, 9, 200), (250, 250, 0)],
            [(9, 9, 9), (8, 8, 8), (7, 7, 200)],
        ],
    )
    def test_an_order_that_nothing_contradicts_stays(self, tmp_path, palette):
        assert self.read(tmp_path, palette) == [[0, 1, 1, 2]]

    def test_the_greys_of_a_palette_are_no_colours(self, tmp_path):
        greys = np.arange(256).repeat(3).reshape(256, 3)
        colors = np.array([(255, 255, 255), (0, 0, 0)], dtype=np.uint8)
        image = Image.fromarray(np.array([[0, 255]], dtype=np.uint8))
        image.putpalette(greys.astype(np.uint8).tobytes())
        image.save(tmp_path / "m.png")
        assert read_mask(tmp_path / "m.png", "img7", 2, colors, (0, 255), None).tolist() == [[0, 1]]

    @pytest.mark.parametrize(
        "palette, message",
        [
            ([(255, 255, 255), (0, 0, 0), (1, 2, 3)], r"value 1 in the colour \(0, 0, 0\), .* the class 0"),
            ([(0, 0, 0), (200, 0, 0), (200, 0, 0)], r"value 2 in the colour \(200, 0, 0\), .* the class 1"),
        ],
    )
    def test_one_that_contradicts_the_colours_is_refused(self, tmp_path, palette, message):
        with pytest.raises(UserError, match=rf"img7.*m\.png shows the {message}"):
            self.read(tmp_path, palette)
