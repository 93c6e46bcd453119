"""Arrays of numpy's, in files of their own."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline.readers.reader import Reader, Row


@dataclass(frozen=True)
class Arrays(Reader):
    """``.npy`` or ``.npz`` files of any numeric dtype. Nothing in them is executed.

    Attributes
    ----------
    axes : ``hw``; ``hwc``; ``chw``, whose parts are the channels; ``tall``, the parts of a ``chw`` one below
        the other as one channel, as a course of time.
    key : of the array in an ``.npz`` file.
    take : channels, or parts, that are kept, by number and in this order; all without it.
    fill : in place of values that are not finite; None refuses them.
    """

    axes: Literal["hw", "hwc", "chw", "tall"] = "hwc"
    key: str | None = None
    take: tuple[int, ...] | None = None
    fill: float | None = None

    def read(self, row: Row) -> np.ndarray:
        """See Reader."""
        loaded = np.load(row["path"], allow_pickle=False)
        if isinstance(loaded, np.lib.npyio.NpzFile):
            with loaded:
                if self.key is None or self.key not in loaded:
                    raise ValueError(f"it holds {', '.join(loaded)}, and the reader's key is {self.key!r}")
                loaded = loaded[self.key]
        return filled(self._laid(loaded), self.fill)

    def _laid(self, values: np.ndarray) -> np.ndarray:
        if values.ndim != (2 if self.axes == "hw" else 3):
            raise ValueError(f"an array of shape {values.shape}, and the reader's axes are {self.axes}")
        if self.axes == "hw":
            return values
        parts = values.transpose(2, 0, 1) if self.axes == "hwc" else values
        if self.take is not None:
            parts = parts[list(self.take)]
        return parts.reshape(-1, parts.shape[2]) if self.axes == "tall" else parts.transpose(1, 2, 0)


def filled(values: np.ndarray, fill: float | None) -> np.ndarray:
    """Values with `fill` in place of those that are not finite; as they are where it is None."""
    if fill is None or values.dtype.kind != "f":
        return values
    return np.where(np.isfinite(values), values, np.asarray(fill, dtype=values.dtype))
