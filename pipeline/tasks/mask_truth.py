"""Where masks come from that may overlap: run lengths, arrays, files, or what a competition reads itself.

A mask is uint8 (H, W, C): of each class 1 inside and 0 outside, and `IGNORE` where a pixel neither trains nor
counts.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipeline.base.errors import UserError, name_some
from pipeline.frame.rle import RunLengths, is_empty

IGNORE = 255
Row = Mapping[str, Any]
"""``image_id`` and the truth's columns of a row of a frame."""


@dataclass(frozen=True)
class MaskTruth(ABC):
    """Reads the masks of a row. A frozen dataclass that can be pickled."""

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """Columns of a train frame that hold the truth."""

    @property
    def files(self) -> tuple[str, ...]:
        """Those of them that hold paths, or lists of paths."""
        return ()

    @abstractmethod
    def read(self, row: Row, height: int, width: int, count: int) -> np.ndarray:
        """The masks of `count` classes of an image of this size, see the module.

        Raises
        ------
        UserError : there is none, or not of this size; names the image and the file.
        """

    @abstractmethod
    def present(self, row: Row, count: int) -> np.ndarray:
        """bool (count,): which classes have a pixel."""


@dataclass(frozen=True)
class RunLengthMasks(MaskTruth):
    """Column ``masks``: a list of run lengths for each class, as `pipeline.frame.mask_tables` makes it."""

    runs: RunLengths = field(default_factory=RunLengths)

    @property
    def columns(self) -> tuple[str, ...]:
        """See MaskTruth."""
        return ("masks",)

    def read(self, row: Row, height: int, width: int, count: int) -> np.ndarray:
        """See MaskTruth."""
        return np.stack([self._plane(row, text, height, width) for text in _cells(row, count)], axis=2)

    def present(self, row: Row, count: int) -> np.ndarray:
        """See MaskTruth."""
        return np.array([not is_empty(text) for text in _cells(row, count)])

    def _plane(self, row: Row, text: str, height: int, width: int) -> np.ndarray:
        try:
            return self.runs.mask(text, height, width).astype("uint8")
        except ValueError as error:
            raise _no_runs(row, error, height, width) from error


@dataclass(frozen=True)
class RunLengthTiles(RunLengthMasks):
    """As `RunLengthMasks`, for rows that are squares of a larger image, as `TiffRegion` reads them: columns
    ``top`` and ``left`` are the corner, ``whole_height`` and ``whole_width`` the size of that image.

    Attributes
    ----------
    side : of the square in pixels of the whole image.
    shrink : as `TiffRegion` has it; a pixel is inside where at least half of those it stands for are.
    """

    side: int = 256
    shrink: int = 1

    @property
    def columns(self) -> tuple[str, ...]:
        """See MaskTruth."""
        return ("masks", "top", "left", "whole_height", "whole_width")

    def present(self, row: Row, count: int) -> np.ndarray:
        """See MaskTruth."""
        side = self.side // self.shrink
        return np.asarray(self.read(row, side, side, count).any(axis=(0, 1)))

    def _plane(self, row: Row, text: str, height: int, width: int) -> np.ndarray:
        whole = (int(row["whole_height"]), int(row["whole_width"]))
        try:
            square = self.runs.region(text, *whole, int(row["top"]), int(row["left"]), self.side)
        except ValueError as error:
            raise _no_runs(row, error, *whole) from error
        if self.shrink > 1:
            few = self.side // self.shrink
            square = square.reshape(few, self.shrink, few, self.shrink).mean(axis=(1, 3)) >= 0.5
        return square.astype("uint8")


@dataclass(frozen=True)
class MaskFile(MaskTruth):
    """Column ``mask``: the path of one file with all masks of an image: an image file, or an array in a
    ``.npy`` or ``.npz`` file.

    A file of one channel is the mask of one class: 0 outside, and inside one other value, such as 1, 255 or
    65,535. Of several channels, each is the mask of a class.

    Attributes
    ----------
    values : the value of each class where a pixel has one class alone; 0 is none.
    colors : the colour (red, green, blue) of each class, likewise; black is none.
    above : values above this are inside, where a file has shades, as a JPEG does.
    ignore : the value of pixels that neither train nor count.
    page : frame of a GIF or page of a TIFF file of several.
    axes : of an array of three: ``hwc`` or ``chw``.
    """

    values: tuple[int, ...] | None = None
    colors: tuple[tuple[int, int, int], ...] | None = None
    above: float | None = None
    ignore: int | None = None
    page: int | None = None
    axes: str = "hwc"

    @property
    def columns(self) -> tuple[str, ...]:
        """See MaskTruth."""
        return ("mask",)

    @property
    def files(self) -> tuple[str, ...]:
        """See MaskTruth."""
        return ("mask",)

    def read(self, row: Row, height: int, width: int, count: int) -> np.ndarray:
        """See MaskTruth."""
        return _of_size(self._planes(row, count), row, str(row["mask"]), height, width)

    def present(self, row: Row, count: int) -> np.ndarray:
        """See MaskTruth."""
        return (self._planes(row, count) == 1).any(axis=(0, 1))

    def _planes(self, row: Row, count: int) -> np.ndarray:
        path = str(row["mask"])
        name = f"image {row['image_id']}: its mask {path}"
        pixels = mask_pixels(path, name, self.page)
        if pixels.ndim == 3 and self.axes == "chw" and Path(path).suffix in (".npy", ".npz"):
            pixels = pixels.transpose(1, 2, 0)
        if self.colors is not None:
            return _by_color(pixels, self.colors, name)
        if self.values is not None:
            return _by_value(_one_channel(pixels, name), self.values, self.ignore, name)
        if count == 1:
            pixels = _one_channel(pixels, name)[..., None]
        if pixels.ndim != 3 or pixels.shape[2] != count:
            raise UserError(
                f"{name} has the shape {pixels.shape}, and there are {count} classes: give MaskFile the "
                "values or colors of the classes, or an array with a channel for each"
            )
        return inside(pixels, self.above, self.ignore, name)


@dataclass(frozen=True)
class ClassFiles(MaskTruth):
    """Column ``masks``: a list of paths, a file for each class, "" where a class has none in the image.

    Attributes
    ----------
    above, ignore, page : see `MaskFile`.
    """

    above: float | None = None
    ignore: int | None = None
    page: int | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """See MaskTruth."""
        return ("masks",)

    @property
    def files(self) -> tuple[str, ...]:
        """See MaskTruth."""
        return ("masks",)

    def read(self, row: Row, height: int, width: int, count: int) -> np.ndarray:
        """See MaskTruth."""
        planes = [np.zeros((height, width), dtype="uint8") for _ in range(count)]
        for place, path in enumerate(_cells(row, count)):
            if path:
                planes[place] = _of_size(self._plane(row, path), row, path, height, width)
        return np.stack(planes, axis=2)

    def present(self, row: Row, count: int) -> np.ndarray:
        """See MaskTruth."""
        return np.array([bool(path) and (self._plane(row, path) == 1).any() for path in _cells(row, count)])

    def _plane(self, row: Row, path: str) -> np.ndarray:
        name = f"image {row['image_id']}: its mask {path}"
        return inside(_one_channel(mask_pixels(path, name, self.page), name), self.above, self.ignore, name)


def mask_pixels(path: str, name: str, page: int | None = None) -> np.ndarray:
    """The values of a mask file as they are stored, (H, W) or (H, W, C); of a palette, the indices.

    Raises
    ------
    UserError : it is missing, cannot be read, or has several pages and none is named.
    """
    try:
        if path.endswith((".npy", ".npz")):
            loaded = np.load(path, allow_pickle=False)
            if isinstance(loaded, np.lib.npyio.NpzFile):
                with loaded:
                    if len(loaded.files) != 1:
                        raise ValueError(f"it holds {len(loaded.files)} arrays, and one is expected")
                    loaded = loaded[loaded.files[0]]
            if loaded.ndim not in (2, 3) or loaded.dtype.kind not in "uifb":
                raise ValueError(f"an array of {loaded.dtype} of the shape {loaded.shape}")
            return loaded
        with Image.open(path) as image:
            count = getattr(image, "n_frames", 1)
            if count > 1 and page is None:
                raise ValueError(f"it has {count} pages: name the one that is meant, page=0 for the first")
            if page:
                image.seek(page)
            if image.format == "GIF" and image.mode in ("RGB", "RGBA"):
                image = image.convert("L")  # Pillow gives later frames in colours
            return np.asarray(image.convert("RGB") if image.mode in ("CMYK", "YCbCr") else image)
    except FileNotFoundError:
        raise UserError(f"{name} is missing; restore it") from None
    except Exception as error:  # decoders raise anything on damaged bytes
        reason = (str(error).replace(path, "the file").splitlines() or [type(error).__name__])[0]
        raise UserError(f"{name} cannot be read ({reason}); replace or remove it") from error


def inside(pixels: np.ndarray, above: float | None, ignore: int | None, name: str) -> np.ndarray:
    """uint8 of the same shape, see the module, of masks whose values are 0 and one other, or shades.

    Raises
    ------
    UserError : more than one value beside 0 and the ignored one, and no `above`.
    """
    ignored = np.zeros(pixels.shape, dtype=bool) if ignore is None else pixels == ignore
    if above is None:
        found = np.unique(pixels[~ignored])
        inner = found[found != 0].tolist()
        if len(inner) > 1:
            raise UserError(
                f"{name} has the values {name_some([f'{value:g}' for value in inner])} beside 0, and a mask "
                "has one: give its task values=, ignore=, or above= where they are shades"
            )
        above = 0
    return np.where(ignored, np.uint8(IGNORE), (pixels > above).astype("uint8"))


def _cells(row: Row, count: int) -> list[str]:
    """A list with an entry for each class."""
    cells = row["masks"]
    if isinstance(cells, str) or not isinstance(cells, Sequence | np.ndarray) or len(cells) != count:
        raise UserError(
            f"image {row['image_id']}: masks is {cells!r}, and must be a list with an entry for each of "
            f"{count} classes"
        )
    return ["" if cell is None else str(cell) for cell in cells]


def _one_channel(pixels: np.ndarray, name: str) -> np.ndarray:
    """(H, W), of several channels where all but an opaque alpha are equal."""
    if pixels.ndim == 2:
        return pixels
    colors = pixels[..., :1] if pixels.shape[2] in (1, 2) else pixels[..., :3]
    if (colors != colors[..., :1]).any():
        raise UserError(f"{name} has colours, and a mask of one class is grey: give MaskFile colors=")
    return colors[..., 0]


def _by_value(pixels: np.ndarray, values: Sequence[int], ignore: int | None, name: str) -> np.ndarray:
    wrong = [value for value in np.unique(pixels).tolist() if value not in (0, *values, ignore)]
    if wrong:
        raise UserError(
            f"{name} has the value {name_some(wrong)}, and those of the classes are "
            f"{name_some(values, limit=12)}; correct the mask, or the values that the task is given"
        )
    planes = (pixels[..., None] == np.asarray(values)).astype("uint8")
    if ignore is not None:
        planes[pixels == ignore] = IGNORE
    return planes


def _by_color(pixels: np.ndarray, colors: Sequence[tuple[int, int, int]], name: str) -> np.ndarray:
    if pixels.ndim != 3 or pixels.shape[2] < 3:
        raise UserError(f"{name} is grey, and its classes have colours: save it as it was, or give values=")
    planes = (pixels[..., None, :3] == np.asarray(colors)).all(axis=3)
    lost = ~planes.any(axis=2) & pixels[..., :3].any(axis=2)
    if lost.any():
        raise UserError(
            f"{name} has the colour {tuple(pixels[..., :3][lost][0].tolist())}, which is no class's; a mask "
            "must be saved without smoothing or compression losses"
        )
    return planes.astype("uint8")


def _of_size(planes: np.ndarray, row: Row, path: str, height: int, width: int) -> np.ndarray:
    if planes.shape[:2] != (height, width):
        raise UserError(
            f"image {row['image_id']}: its mask {path} has {planes.shape[1]} x {planes.shape[0]} pixels and "
            f"the image {width} x {height}: replace one of them"
        )
    return planes


def _no_runs(row: Row, error: ValueError, height: int, width: int) -> UserError:
    return UserError(
        f"image {row['image_id']}: its run lengths do not fit its {width} x {height} pixels ({error}): "
        "correct them, or give its task the RunLengths(order=..., first=...) that they are written by"
    )
