"""Whatever a file holds becomes 8-bit RGB, or one sentence that names the image and the file."""

import io
import os
import random

import numpy as np
import pytest
from PIL import Image

from pipeline.base.errors import UserError
from pipeline.raw.images import content_hash, read_rgb


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """RGB, wider than high, without symmetry."""
    rows, columns = np.mgrid[0:6, 0:9]
    return np.stack([40 * rows, 28 * columns, 10 * rows + 15 * columns], axis=2).astype("uint8")


def saved(image: Image.Image, path, **options):
    image.save(path, **options)
    return path


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "ppm"])
def test_lossless_formats_give_the_very_pixels(tmp_path, picture, suffix):
    path = saved(Image.fromarray(picture), tmp_path / f"x.{suffix}")
    result = read_rgb(path, "x")
    np.testing.assert_array_equal(result, picture)
    assert result.dtype == np.uint8


def test_jpeg_gives_nearly_the_pixels(tmp_path, picture):
    path = saved(Image.fromarray(picture), tmp_path / "x.jpg", quality=95, subsampling=0)
    assert np.abs(read_rgb(path, "x").astype(int) - picture).mean() < 4


def test_the_suffix_does_not_matter(tmp_path, picture):
    path = saved(Image.fromarray(picture), tmp_path / "x.jpg", format="PNG")
    np.testing.assert_array_equal(read_rgb(path, "x"), picture)


def test_greyscale_becomes_three_equal_channels(tmp_path, picture):
    grey = picture[:, :, 0]
    path = saved(Image.fromarray(grey), tmp_path / "x.png")
    np.testing.assert_array_equal(read_rgb(path, "x"), np.stack([grey] * 3, axis=2))


def test_black_and_white_becomes_0_and_255(tmp_path):
    path = saved(Image.fromarray(np.array([[True, False]])), tmp_path / "x.png")
    np.testing.assert_array_equal(read_rgb(path, "x"), [[[255] * 3, [0] * 3]])


def test_a_palette_is_looked_up(tmp_path):
    image = Image.new("P", (3, 1))
    image.putpalette([10, 20, 30, 200, 100, 0])
    image.putdata([0, 1, 1])
    path = saved(image, tmp_path / "x.png")
    assert read_rgb(path, "x")[0].tolist() == [[10, 20, 30], [200, 100, 0], [200, 100, 0]]


def test_cmyk_becomes_rgb(tmp_path):
    path = saved(Image.new("CMYK", (2, 2), (255, 0, 0, 0)), tmp_path / "x.tif")
    assert read_rgb(path, "x")[0, 0].tolist() == [0, 255, 255]


class TestTransparency:
    """Laid over white, so that what was stored under transparent pixels does not leak into the picture."""

    def test_rgba(self, tmp_path):
        image = Image.fromarray(
            np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [0, 0, 0, 51]]], dtype="uint8"), "RGBA"
        )
        path = saved(image, tmp_path / "x.png")
        assert read_rgb(path, "x")[0].tolist() == [[10, 20, 30], [255, 255, 255], [204, 204, 204]]

    def test_grey_with_alpha(self, tmp_path):
        path = saved(Image.fromarray(np.array([[[7, 255], [7, 0]]], dtype="uint8"), "LA"), tmp_path / "x.png")
        assert read_rgb(path, "x")[0].tolist() == [[7, 7, 7], [255, 255, 255]]

    def test_a_transparent_palette_entry(self, tmp_path):
        image = Image.new("P", (2, 1))
        image.putpalette([10, 20, 30, 200, 100, 0])
        image.putdata([0, 1])
        path = saved(image, tmp_path / "x.png", transparency=1)
        assert read_rgb(path, "x")[0].tolist() == [[10, 20, 30], [255, 255, 255]]

    def test_a_transparent_colour_of_an_rgb_png(self, tmp_path):
        image = Image.fromarray(np.array([[[10, 20, 30], [1, 2, 3]]], dtype="uint8"))
        path = saved(image, tmp_path / "x.png", transparency=(1, 2, 3))
        assert read_rgb(path, "x")[0].tolist() == [[10, 20, 30], [255, 255, 255]]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(tmp_path, picture, orientation):
    """A camera stores the sensor's pixels and says how it was held."""
    undo = {
        1: lambda x: x,
        2: lambda x: x[:, ::-1],
        3: lambda x: x[::-1, ::-1],
        4: lambda x: x[::-1],
        5: lambda x: x.transpose(1, 0, 2),
        6: lambda x: np.rot90(x, 1),
        7: lambda x: x.transpose(1, 0, 2)[::-1, ::-1],
        8: lambda x: np.rot90(x, -1),
    }[orientation]
    stored = Image.fromarray(np.ascontiguousarray(undo(picture)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(stored, tmp_path / "x.png", exif=exif)
    np.testing.assert_array_equal(read_rgb(path, "x"), picture)


class TestBroken:
    def sentence(self, path) -> str:
        with pytest.raises(UserError) as error:
            read_rgb(path, "img_7")
        text = str(error.value)
        assert text.startswith("image img_7: ") and str(path) in text and "\n" not in text
        assert text.count(str(path)) == 1
        return text

    def test_missing(self, tmp_path):
        assert "is missing; restore it" in self.sentence(tmp_path / "x.png")

    def test_a_folder(self, tmp_path):
        assert "is no readable image" in self.sentence(tmp_path)

    @pytest.mark.parametrize("content", [b"", b"no image at all", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0"])
    def test_no_image(self, tmp_path, content):
        (tmp_path / "x.png").write_bytes(content)
        assert "is no readable image" in self.sentence(tmp_path / "x.png")

    def test_a_decompression_bomb(self, tmp_path):
        (tmp_path / "x.ppm").write_bytes(b"P6\n20000 20000\n255\n")
        assert "PODIUM_MAX_PIXELS" in self.sentence(tmp_path / "x.ppm")

    @pytest.mark.parametrize("kind", ["pipe", "loop", "broken link", "link to itself by way of another"])
    def test_what_is_no_file(self, tmp_path, kind):
        path = tmp_path / "x.png"
        if kind == "pipe":
            os.mkfifo(path)
        else:
            path.symlink_to({"loop": path, "broken link": tmp_path / "no"}.get(kind, tmp_path / "y.png"))
            (tmp_path / "y.png").symlink_to(path)
        self.sentence(path)

    @pytest.mark.filterwarnings("ignore:Corrupt EXIF data", "ignore:Truncated File Read")
    @pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "webp", "bmp", "tif"])
    def test_truncated_anywhere(self, tmp_path, picture, suffix):
        """Cut at any byte, a file is refused; what still decodes (a lost trailer) is the whole picture."""
        buffer = io.BytesIO()
        Image.fromarray(np.tile(picture, (4, 4, 1))).save(
            buffer, {"jpg": "JPEG", "tif": "TIFF"}.get(suffix, suffix)
        )
        whole = buffer.getvalue()
        path = tmp_path / f"x.{suffix}"
        path.write_bytes(whole)
        expected = read_rgb(path, "x")
        refused = 0
        for end in range(0, len(whole), max(1, len(whole) // 60)):
            path.write_bytes(whole[:end])
            try:
                np.testing.assert_array_equal(read_rgb(path, "img_7"), expected)
            except UserError:
                refused += 1
        assert refused > 50

    @pytest.mark.parametrize("suffix", ["PNG", "JPEG", "GIF", "WEBP", "BMP"])
    def test_damaged_bytes_give_a_picture_or_one_sentence_but_no_traceback(self, tmp_path, picture, suffix):
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, suffix)
        draw = random.Random(0)
        for _ in range(100):
            content = bytearray(buffer.getvalue())
            for _ in range(draw.randint(1, 4)):
                content[draw.randrange(len(content))] = draw.randrange(256)
            (tmp_path / "x").write_bytes(content)
            try:
                assert read_rgb(tmp_path / "x", "img_7").shape[2] == 3
            except UserError as error:
                assert "image img_7: " in str(error) and "\n" not in str(error)


class TestWithoutEndMarker:
    """Without its end marker alone a JPEG has lost nothing; cut earlier, it has lost some of the picture."""

    @pytest.fixture(params=["baseline", "progressive", "restarts", "grey", "odd size"])
    def whole(self, request) -> bytes:
        size = (61, 43) if request.param == "odd size" else (64, 48)
        noise = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype="uint8")
        image = Image.fromarray(noise).convert("L" if request.param == "grey" else "RGB")
        buffer = io.BytesIO()
        extra = {"restart_marker_rows": 1} if request.param == "restarts" else {}
        image.save(buffer, "JPEG", progressive=request.param == "progressive", **extra)
        return buffer.getvalue()

    @pytest.mark.parametrize("lost", [1, 2])
    def test_it_is_read(self, tmp_path, whole, lost):
        (tmp_path / "x.jpg").write_bytes(whole)
        expected = read_rgb(tmp_path / "x.jpg", "x")
        (tmp_path / "x.jpg").write_bytes(whole[:-lost])
        np.testing.assert_array_equal(read_rgb(tmp_path / "x.jpg", "x"), expected)

    def test_cut_anywhere_before_it_is_refused_or_whole(self, tmp_path, whole):
        (tmp_path / "x.jpg").write_bytes(whole)
        expected = read_rgb(tmp_path / "x.jpg", "x")
        cuts = [*range(3, 40), *range(40, len(whole) - 2, 61)]
        cuts += [len(whole) - place for place in range(len(whole)) if whole[place] == 255]  # at each marker
        for lost in cuts:
            (tmp_path / "x.jpg").write_bytes(whole[:-lost])
            try:
                assert np.array_equal(read_rgb(tmp_path / "x.jpg", "x"), expected) and lost < 5, lost
            except UserError as error:
                assert "image x: " in str(error)


class TestContentHash:
    def test_the_same_pixels_in_two_lossless_files_are_one_picture(self, tmp_path, picture):
        image = Image.fromarray(picture)
        hashes = {
            content_hash(read_rgb(saved(image, tmp_path / f"x.{kind}"), "x")) for kind in ("png", "bmp")
        }
        assert hashes == {content_hash(picture)}
        assert len(content_hash(picture)) == 32

    def test_one_pixel_makes_another_picture(self, picture):
        other = picture.copy()
        other[3, 3, 1] ^= 1
        assert content_hash(other) != content_hash(picture)

    def test_the_same_bytes_in_another_shape_are_another_picture(self):
        flat = np.zeros((2, 8, 3), dtype="uint8")
        shapes = [(2, 8, 3), (8, 2, 3), (4, 4, 3), (1, 16, 3), (16, 1, 3)]
        assert len({content_hash(flat.reshape(shape)) for shape in shapes}) == len(shapes)

    def test_memory_layout_does_not_matter(self, picture):
        assert content_hash(np.asfortranarray(picture)) == content_hash(picture)
