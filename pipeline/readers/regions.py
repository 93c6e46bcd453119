"""Parts of images that do not fit into memory. Needs the extra ``tiff``."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipeline.readers.reader import Reader, Row


@dataclass(frozen=True)
class TiffRegion(Reader):
    """A square of a TIFF file, read alone: columns ``top`` and ``left`` of the frame are its corner in pixels
    of the whole image. What lies beyond the image is 0.

    Attributes
    ----------
    side : of the square in pixels.
    shrink : every so many pixels of the square one is kept, the mean of all; `side` is a multiple of it.
    """

    side: int
    shrink: int = 1

    @property
    def columns(self) -> tuple[str, ...]:
        """See Reader."""
        return ("top", "left")

    def read(self, row: Row) -> np.ndarray:
        """See Reader."""
        import tifffile
        import zarr

        with tifffile.TiffFile(row["path"]) as file:
            series = file.series[0]
            plan = _axes(series)
            with series.aszarr(level=0) as store:
                pixels: Any = zarr.open(store, mode="r")
                top, left = int(row["top"]), int(row["left"])
                place = {"Y": slice(top, top + self.side), "X": slice(left, left + self.side)}
                values = np.asarray(pixels[tuple(place.get(axis, slice(None)) for axis in plan)])
        values = _channels_last(values, plan)
        missing = [(0, self.side - side) for side in values.shape[:2]]
        values = np.pad(values, [*missing, (0, 0)])
        if self.shrink == 1:
            return values
        few = self.side // self.shrink
        means = values.reshape(few, self.shrink, few, self.shrink, -1).mean(axis=(1, 3))
        return (
            np.rint(means).astype(values.dtype) if values.dtype.kind in "ui" else means.astype(values.dtype)
        )


def tiff_size(path: str) -> tuple[int, int]:
    """Height and width of a TIFF file's first image in pixels."""
    import tifffile

    with tifffile.TiffFile(path) as file:
        series = file.series[0]
        plan = _axes(series)
        return series.shape[plan.index("Y")], series.shape[plan.index("X")]


def corners_of(path: str, side: int, step: int) -> pd.DataFrame:
    """``top`` and ``left`` of the squares that cover a TIFF file, `step` pixels apart."""
    height, width = tiff_size(path)
    tops, lefts = (range(0, max(length - side, 0) + step, step) for length in (height, width))
    corners = [(top, left) for top in tops for left in lefts if top < height and left < width]
    return pd.DataFrame(corners, columns=["top", "left"])


def _axes(series: Any) -> str:
    """The letters of its axes. Raises ValueError for what is no plane of channels."""
    axes = series.axes.replace("I", "C").replace("Q", "C").replace("Z", "C").replace("S", "C")
    wide = sum(size > 1 for axis, size in zip(axes, series.shape, strict=True) if axis not in "YX")
    if axes.count("Y") != 1 or axes.count("X") != 1 or wide > 1:
        raise ValueError(f"its axes are {series.axes} of {series.shape}")
    return axes


def _channels_last(values: np.ndarray, axes: str) -> np.ndarray:
    rows, columns = axes.index("Y"), axes.index("X")
    values = np.moveaxis(values, (rows, columns), (0, 1))
    return values.reshape(*values.shape[:2], -1)
