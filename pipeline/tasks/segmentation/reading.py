"""Mask files to class indices: by value, by exact colour, or by the colours of a palette."""

import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.base.errors import UserError, name_some
from pipeline.tasks.segmentation.palette import IGNORE

MaskReader = Callable[[str, str], np.ndarray]
"""Decodes the mask at a path, of an image id, to class indices uint8 (H, W)."""

MODES = ("P", "L", "1", "I", "I;16", "F", "RGB", "RGBA")
"""Pillow's kinds of images whose pixels are looked at as they are."""


def read_mask(
    path: str | Path,
    image_id: str,
    classes_count: int,
    colors: np.ndarray,
    values: Sequence[int] | None = None,
    ignore: int | None = IGNORE,
) -> np.ndarray:
    """Read a mask file as uint8 indices of shape (H, W), `IGNORE` where a pixel is ignored.

    The pixels of a greyscale file are values, those of a file of one bit are indices. The pixels of an RGB
    file are colours, and each must be exactly one of the classes' or the ignored one's; transparency is not
    looked at. So are those of a palette file whose palette holds the classes' colours in another order; any
    other palette must not contradict the order of its values, as VOC's and a ramp of greys do not. EXIF
    rotation is not applied.

    Parameters
    ----------
    classes_count : number of classes.
    colors : uint8 (K, 3), the colour of each index; with 256 rows, the last is the colour of ignored pixels.
    values : the value of each index, 0, 1, 2, ... without.
    ignore : the value of ignored pixels, or None where there are none.

    Raises
    ------
    UserError : the file is missing or no image, has a colour or value that is no class, or a palette that
        contradicts the classes' colours; names `image_id`.
    """
    name = f"image {image_id}: its mask {path}"
    try:
        with Image.open(path) as image:
            if image.mode == "LA":
                image = image.getchannel("L")
            elif image.mode not in MODES:
                image = image.convert("RGBA")
            pixels = np.asarray(image)
            palette = np.asarray(image.getpalette("RGB") or []) if image.mode == "P" else None
    except FileNotFoundError:
        raise UserError(f"{name} is missing; restore it") from None
    except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError) as error:
        reason = str(error).replace(str(path), "the file").replace("\n", " ")
        raise UserError(f"{name} is no readable image ({reason}); replace or remove it") from error
    values = list(range(classes_count)) if values is None else list(values)
    shades = _Colors(colors, classes_count, ignore is not None)
    if pixels.ndim == 3:
        return shades.indices(pixels[..., :3], name)
    if pixels.dtype == bool:
        values, ignore = list(range(classes_count)), None
    index_of = dict(zip(values, range(classes_count), strict=True))
    if ignore is not None:
        index_of[ignore] = IGNORE
    present, place = np.unique(pixels, return_inverse=True)
    found = (
        shades.of_palette(palette.reshape(-1, 3), present, index_of, name) if palette is not None else None
    )
    if found is None:
        wrong = [value for value in present.tolist() if value not in index_of]
        if wrong:
            besides = "" if ignore is None else f", besides {ignore} for ignored pixels"
            raise UserError(
                f"{name} has the value {name_some(wrong)}, and those of the {classes_count} classes are "
                f"{_ranges(values)}{besides}; correct the mask, or the values that the task is given"
            )
        found = [index_of[value] for value in present.tolist()]
    return np.array(found, dtype=np.uint8)[place].reshape(pixels.shape)


def _ranges(values: Sequence[int]) -> str:
    if list(values) == list(range(len(values))):
        return f"0 to {len(values) - 1}"
    return name_some(values, limit=12)


class _Colors:
    """The colours of the classes and, with `ignored`, of the ignored pixels, if `colors` has one for them."""

    def __init__(self, colors: np.ndarray, classes_count: int, ignored: bool) -> None:
        self.known = np.arange(classes_count)
        if ignored and len(colors) > IGNORE:
            self.known = np.append(self.known, IGNORE)
        self.codes = _codes(colors[self.known])
        self.order = self.codes.argsort(kind="stable")

    def find(self, codes: np.ndarray) -> np.ndarray:
        """The index of each colour, -1 where it is none's."""
        place = np.searchsorted(self.codes[self.order], codes).clip(max=len(self.order) - 1)
        found = self.order[place]
        return np.where(self.codes[found] == codes, self.known[found], -1)

    def indices(self, pixels: np.ndarray, name: str) -> np.ndarray:
        """Map the colours (H, W, 3) to indices uint8 (H, W)."""
        codes = _codes(pixels)
        found = self.find(codes)
        unknown = np.unique(codes[found < 0])
        if len(unknown):
            raise UserError(
                f"{name} has the colour {name_some([_text(code) for code in unknown.tolist()])}, which is no "
                "class's; a mask must be saved without smoothing or compression losses"
            )
        return found.astype(np.uint8)

    def of_palette(
        self, palette: np.ndarray, present: np.ndarray, index_of: Mapping[int, int], name: str
    ) -> list[int] | None:
        """The index of each value that is present, by its colour; None where the values speak for themselves.

        Entries that no pixel uses are filled with anything, and a palette that knows some of the classes'
        colours alone was not made for them.
        """
        used = present[present < len(palette)]
        codes = _codes(palette[used])
        ramp = palette[: max(2, int(used.max(initial=0)) + 1)]
        if (ramp == ramp[:, :1]).all() and (np.diff(ramp[:, 0]) > 0).all():
            return None  # greys that ascend
        found = self.find(codes)
        own = np.array([index_of.get(value, -2) for value in used.tolist()], dtype=np.int64)
        crossed = (found >= 0) & (found != own) & (own != IGNORE)
        if not crossed.any():
            return None
        if len(used) == len(present) and (found >= 0).all() and len(np.unique(found)) == len(found):
            return found.tolist()
        place = int(np.flatnonzero(crossed)[0])
        raise UserError(
            f"{name} shows the value {used[place]} in the colour {_text(int(codes[place]))}, which is that "
            f"of the class {int(found[place])}, and its palette is no other order of the classes' colours: "
            "give the competition's task the masks' own colours, or save the masks as greyscale values"
        )


def _codes(colors: np.ndarray) -> np.ndarray:
    """One number for each colour (..., 3)."""
    return colors.astype(np.int64) @ np.array([1 << 16, 1 << 8, 1])


def _text(code: int) -> str:
    return f"({code >> 16}, {code >> 8 & 255}, {code & 255})"
