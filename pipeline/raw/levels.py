"""Which stored values are black and white in images of more than 8 bits: measured once, the same for all.

A 12-bit camera writes 0 to 4095 into 16-bit files, a scanner 0 to 65535, a microscope 0.0 to 1.0, a tomograph
-1024 to 3071; no file says which. Images of 8 bits are not touched.
"""

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import cv2
import numpy as np
from PIL import Image

SAMPLE = 256
"""Images that are looked at."""
NOMINAL = (1, 255, 1023, 4095, 16383, 65535)
"""White in usual files; the next one above the largest value is meant, where it is not much above it."""
NEAR = 8
"""Three bits above: a dark set still has most of its bits."""
SLACK = 0.1
"""Values outside the range by up to this share of it are cut off; a sample need not hold the extremes."""


class Levels(NamedTuple):
    """Stored values of black and white: of all channels, or of each.

    Attributes
    ----------
    cut : whether all values outside are cut off, as where the competition names the range; otherwise values
        far outside are an error.
    """

    low: Any
    high: Any
    cut: bool = False

    def __str__(self) -> str:
        if not isinstance(self.low, tuple):
            return f"{self.low:g} is read as black and {self.high:g} as white"
        low, high = (", ".join(f"{value:g}" for value in values) for values in (self.low, self.high))
        return f"({low}) are read as black and ({high}) as white"


class OutsideError(ValueError):
    """Stored values that the range of the training images does not explain."""


@dataclass(frozen=True)
class Measured:
    """What a sample of images is like.

    Attributes
    ----------
    levels : None where no image has more than 8 bits.
    notes : what reading leaves out of the images, a sentence each.
    """

    levels: Levels | None
    notes: tuple[str, ...]


def stored_values(image: Image.Image, path: str | Path) -> np.ndarray | None:
    """The values of an open image that has more than 8 bits, (H, W) or (H, W, 3 or 4); None of any other."""
    if image.mode == "F" or image.mode.startswith("I"):
        return np.asarray(image)
    tiles = getattr(image, "tile", None)  # only of images that come from a file
    if tiles and re.search(r";(16|32|64)", str(tiles[0].args)):
        # Pillow keeps the high byte of each channel, which of 12-bit values leaves 16 levels.
        content = np.fromfile(path, dtype="uint8")
        values = cv2.imdecode(content, cv2.IMREAD_UNCHANGED)
        if values is None:
            raise OSError(f"{image.mode} of more than 8 bits that OpenCV cannot decode")
        return values if values.ndim == 2 else values[..., [2, 1, 0, *range(3, values.shape[2])]]
    return None


def to_8_bit(values: np.ndarray, levels: Levels | None) -> np.ndarray:
    """Bring values to uint8 0..255.

    Raises
    ------
    OutsideError : there is no range, or values are not finite or far outside of it.
    """
    low, high = _extent(values)
    found = f"it stores {values.dtype} values from {low:g} to {high:g}"
    if levels is None and values.dtype == np.uint16 and high > NOMINAL[-2]:
        levels = Levels(0, NOMINAL[-1])  # nothing else has so large values
    if levels is None:
        raise OutsideError(
            f"{found}, and the training images that were looked at have 8 bits: convert it, or name its "
            "black and white as the competition's levels = (low, high)"
        )
    slack = np.inf if levels.cut else SLACK * (levels.high - levels.low)
    if low < levels.low - slack or high > levels.high + slack:
        raise OutsideError(
            f"{found}, and the training images that were looked at go from {levels.low:g} to "
            f"{levels.high:g}: convert it, or name black and white as the competition's levels = (low, high)"
        )
    above, span = values.astype("float64") - levels.low, levels.high - levels.low
    if np.issubdtype(values.dtype, np.integer) and span >= 255:
        return (256 * above / (span + 1)).clip(0, 255).astype("uint8")  # of 16 bits, the high byte
    return np.rint(255 * (above / span).clip(0, 1)).astype("uint8")


def as_channels(values: np.ndarray) -> np.ndarray:
    """(H, W) or (H, W, C) as (H, W, C). Raises ValueError for any other shape, or for what are no numbers."""
    if values.ndim not in (2, 3) or 0 in values.shape:
        raise ValueError(f"an array of shape {values.shape}, and (H, W) or (H, W, C) is expected")
    if values.dtype == np.bool_:
        values = values * np.uint8(255)
    if values.dtype.kind not in "uif":
        raise ValueError(f"an array of {values.dtype}, and numbers are expected")
    return values if values.ndim == 3 else values[..., None]


def extents(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest value (C,) of each channel, float64. Raises OutsideError for one not finite."""
    low, high = (
        np.asarray(one, dtype="float64") for one in (values.min(axis=(0, 1)), values.max(axis=(0, 1)))
    )
    if not np.isfinite([low, high]).all():
        raise OutsideError("it stores values that are no finite numbers")
    return low, high


def range_of(low: np.ndarray, high: np.ndarray) -> Levels:
    """Black and white of each channel, of the values found in a sample (C,)."""
    each = [_range(*pair) for pair in zip(low.tolist(), high.tolist(), strict=True)]
    return Levels(tuple(float(one.low) for one in each), tuple(float(one.high) for one in each))


def to_float(values: np.ndarray, levels: Levels) -> np.ndarray:
    """Bring values (H, W, C) to float32, 0 black and 1 white.

    Named levels cut off what is outside. Measured ones do not, as values of no bound have no whitest one.

    Raises
    ------
    OutsideError : values are not finite or, where levels are measured, further outside than they reach.
    """
    low, high = extents(values)
    black, white = np.asarray(levels.low, dtype="float64"), np.asarray(levels.high, dtype="float64")
    span = white - black
    if not levels.cut and ((low < black - span).any() or (high > white + span).any()):
        raise OutsideError(
            f"it stores {values.dtype} values from {low.min():g} to {high.max():g}, and of the training "
            f"images looked at {levels}"
        )
    exact = np.result_type(values.dtype, np.float32)
    scaled = ((values.astype(exact) - black.astype(exact)) / span.astype(exact)).astype("float32")
    return scaled.clip(0, 1) if levels.cut else scaled


T = TypeVar("T")


def sampled(items: Sequence[T]) -> list[T]:
    """Some of them, evenly spread."""
    places = np.linspace(0, len(items) - 1, min(SAMPLE, len(items)))
    return [items[int(place)] for place in places]


def measure(paths: Sequence[str]) -> Measured:
    """Look at all of these images. What cannot be read is left to whoever decodes it."""
    with ThreadPoolExecutor() as pool:
        looks = [look for look in pool.map(_look, paths) if look is not None]
    extents = [look.extent for look in looks if look.extent is not None]
    deep = f"{len(extents):,} of {len(looks):,} training images looked at have more than 8 bits"
    levels, notes = None, []
    if extents:
        levels = _range(min(low for low, _ in extents), max(high for _, high in extents))
        notes.append(f"{deep}: {levels}, in test images too")
    for count, text in (
        (sum(look.pages for look in looks), "have several pages or frames: the first is read alone"),
        (sum(look.transparent for look in looks), "have transparency: they are laid over white"),
    ):
        if count:
            notes.append(f"{count:,} of {len(looks):,} training images looked at {text}")
    return Measured(levels, tuple(notes))


class _Look(NamedTuple):
    """Of one image: smallest and largest value where it has more than 8 bits, pages, transparency."""

    extent: tuple[float, float] | None
    pages: bool
    transparent: bool


def _look(path: str) -> _Look | None:
    if not Path(path).is_file():
        return None
    try:
        with Image.open(path) as image:
            # A photo with a smaller copy of itself (MPO) counts as one.
            pages = image.format != "MPO" and getattr(image, "n_frames", 1) > 1
            transparent = image.has_transparency_data
            values = stored_values(image, path)
            return _Look(
                None if values is None else _extent(values if values.ndim == 2 else values[..., :3]),
                pages,
                transparent,
            )
    except Exception:  # whatever a decoder raises: decoding the image says it with its name
        return None


def _extent(values: np.ndarray) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    if not np.isfinite([low, high]).all():
        raise OutsideError("it stores values that are no finite numbers")
    return low, high


def _range(low: float, high: float) -> Levels:
    nominal = next((white for white in NOMINAL if high <= white), None)
    if low >= 0 and nominal is not None and high * NEAR >= nominal:
        return Levels(0, nominal)
    return Levels(low, high if high > low else low + 1)
