"""Run lengths as Kaggle writes them: "start length start length ...", pixels counted from 1 by column, or as
an organiser says.

COCO's run lengths are another format: they count from the first pixel and include the gaps.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

DIGITS = 100
"""Longest number that is looked at: Python refuses those of thousands of digits."""
Order = Literal["columns", "rows"]
NOTHING = ("", "-", "-1", "nan")
"""What organisers write where a mask is empty."""


@dataclass(frozen=True, kw_only=True)
class RunLengths:
    """How an organiser writes a mask as text.

    Attributes
    ----------
    order : ``columns`` counts pixels from the top down and column by column, ``rows`` from left to right and
        row by row.
    first : number of the first pixel.
    empty : what is written for a mask without pixels; blank, ``-`` and ``-1`` are read as such anyway.
    """

    order: Order = "columns"
    first: Literal[0, 1] = 1
    empty: str = ""

    def text(self, mask: np.ndarray) -> str:
        """Run lengths of a mask (H, W); see `encode`."""
        return encode(mask, self.order, self.first) or self.empty

    def mask(self, cell: Any, height: int, width: int) -> np.ndarray:
        """bool (height, width) of a cell, which may be missing; see `decode`."""
        return decode("" if is_empty(cell) else str(cell), height, width, self.order, self.first)

    def region(self, cell: Any, height: int, width: int, top: int, left: int, side: int) -> np.ndarray:
        """bool (side, side): a square of the mask of an image of this size, of which only the columns (or
        rows) that it touches are in memory. What lies beyond the image is False."""
        text = "" if is_empty(cell) else str(cell)
        starts, ends = _runs(text, height * width, self.first)
        start, across, along = (left, top, height) if self.order == "columns" else (top, left, width)
        lines = max(0, min(side, (width if self.order == "columns" else height) - start))
        band = _filled(
            (starts - start * along).clip(0, lines * along),
            (ends - start * along).clip(0, lines * along),
            lines * along,
        ).reshape(lines, along)[:, across : across + side]
        square = np.zeros((side, side), dtype=bool)
        square[: band.shape[0], : band.shape[1]] = band
        return square.T if self.order == "columns" else square

    def together(self, cells: Iterable[Any]) -> str:
        """One text for several of one image, such as a row for each object: all their pixels.

        Raises
        ------
        ValueError : see `decode`.
        """
        return self._joined([_runs(str(cell), None, self.first) for cell in cells if not is_empty(cell)])

    def of_parts(self, parts: Iterable[tuple[np.ndarray, int, int]], height: int, width: int) -> str:
        """Run lengths of a mask (height, width) that comes in parts, which is never in memory as a whole.

        Parameters
        ----------
        parts : bool (h, w) and the row and column of its first pixel; each inside the mask.
        """
        down = self.order == "columns"
        runs = []
        for part, top, left in parts:
            lines, start, across = (part.T, left, top) if down else (part, top, left)
            steps = np.diff(np.pad(lines, ((0, 0), (1, 1))).astype(np.int8), axis=1)
            # Edges come line by line, so that the n-th end is that of the n-th start.
            starts, ends = (
                (line + start) * (height if down else width) + across + place
                for line, place in (np.nonzero(steps == 1), np.nonzero(steps == -1))
            )
            runs.append((starts, ends))
        return self._joined(runs) or self.empty

    def written(self, cell: Any, height: int, width: int) -> str:
        """A cell as `text` would write its mask, without the mask in memory.

        Raises
        ------
        ValueError : see `decode`.
        """
        runs = _runs("" if is_empty(cell) else str(cell), height * width, self.first)
        return self._joined([runs]) or self.empty

    def _joined(self, runs: Sequence[tuple[np.ndarray, np.ndarray]]) -> str:
        """Text of runs in any order, which may touch and overlap."""
        if not sum(len(starts) for starts, _ in runs):
            return ""
        starts, ends = (np.concatenate(part) for part in zip(*runs, strict=True))
        order = np.argsort(starts, kind="stable")
        starts, ends = starts[order], np.maximum.accumulate(ends[order])
        new = np.flatnonzero(np.append(True, starts[1:] > ends[:-1]))
        begins, stops = starts[new], np.append(ends[new[1:] - 1], ends[-1])
        return " ".join(map(str, np.stack([begins + self.first, stops - begins], axis=1).ravel().tolist()))


def is_empty(cell: Any) -> bool:
    """Whether a cell stands for a mask without pixels: missing, blank, ``-`` or ``-1``."""
    return str("" if cell is None else cell).strip().lower() in NOTHING


def encode(mask: np.ndarray, order: Order = "columns", first: int = 1) -> str:
    """Run lengths of a mask of shape (H, W) of bool, or of numbers of which any but 0 counts as inside.

    An empty mask gives an empty text.

    Raises
    ------
    ValueError : the mask does not have two dimensions.
    """
    if mask.ndim != 2:
        raise ValueError(f"a mask has the shape (H, W), not {mask.shape}")
    pixels = np.zeros(mask.size + 2, dtype=bool)  # a border of background, so that every run begins and ends
    pixels[1:-1] = mask.ravel(order="F" if order == "columns" else "C")
    edges = np.flatnonzero(pixels[1:] != pixels[:-1])
    edges[1::2] -= edges[::2]  # from (begin, end) to (begin, length)
    edges[::2] += first
    return " ".join(map(str, edges.tolist()))


def decode(text: str, height: int, width: int, order: Order = "columns", first: int = 1) -> np.ndarray:
    """Inverse of `encode`: bool of shape (height, width).

    Runs may touch, but must ascend.

    Raises
    ------
    ValueError : something that is no whole number, an odd count of them, a length of 0, runs that overlap or
        do not ascend, or a run outside the image.
    """
    size = height * width
    pixels = _filled(*_runs(text, size, first), size)
    return pixels.reshape((height, width), order="F" if order == "columns" else "C")


def _filled(starts: np.ndarray, ends: np.ndarray, size: int) -> np.ndarray:
    """bool (size,) that is True from each start to before its end; runs ascend, and may be empty."""
    steps = np.zeros(size + 1, dtype=np.int8)
    inside = starts < ends
    steps[starts[inside]] += 1
    steps[ends[inside]] -= 1
    return steps[:-1].cumsum(dtype=np.int8).astype(bool)


def _runs(text: str, size: int | None, first: int) -> tuple[np.ndarray, np.ndarray]:
    """Where runs start, counted from 0, and where they end, int64; checked as `decode` says. Without a size
    nothing is outside."""
    words = text.split()
    wrong = [word for word in words if not (word.isascii() and word.isdecimal())]
    if wrong:
        raise ValueError(f"{wrong[0][:40]!r} is no whole number")
    if len(words) % 2:
        raise ValueError(f"{len(words)} numbers, and they must come in pairs of start and length")
    # As Python's integers first: a number of twenty digits is out of range, not an overflow.
    most = 2**40 if size is None else size
    outside = [word for word in words if len(word) > DIGITS or int(word) > most]
    if outside:
        raise ValueError(f"{outside[0][:40]} is outside an image of {most} pixels")
    numbers = np.array([int(word) for word in words], dtype=np.int64).reshape(-1, 2)
    starts, lengths = numbers[:, 0] - first, numbers[:, 1]
    ends = starts + lengths
    if (starts < 0).any():
        raise ValueError(f"a run starts at {first - 1}, and pixels count from {first}")
    if (lengths < 1).any():
        raise ValueError("a run has the length 0")
    if (ends > most).any():
        raise ValueError(f"a run ends at {ends.max()}, outside an image of {most} pixels")
    overlap = np.flatnonzero(starts[1:] < ends[:-1])
    if len(overlap):
        raise ValueError(
            f"the run at {starts[overlap[0] + 1] + first} overlaps the one before it, or precedes it"
        )
    return starts, ends
