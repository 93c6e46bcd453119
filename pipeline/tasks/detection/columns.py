"""Boxes as text in a submission's cell: "category score x y w h" for each box, all in one line."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.base.errors import name_some
from pipeline.frame.boxes import box_array

GROUP = 6
"""Numbers for each box."""
CHUNK = 2000
"""Cells looked at together: few calls, and little memory."""
PLAIN = re.compile(r"[-+0-9.eE ]*")
"""Decimal numbers and single-line blanks; no nan, no inf, no underscores."""


@dataclass(frozen=True)
class BoxString:
    """An empty text, or for each box: category score x y w h.

    Attributes
    ----------
    categories : the ids that are allowed.
    """

    categories: Sequence[int]

    def wrong(self, values: pd.Series) -> np.ndarray:
        """See `pipeline.delivery.submission.Column`."""
        allowed = {str(number) for number in self.categories}
        cells = values.tolist()
        parts = [self._wrong(cells[start : start + CHUNK], allowed) for start in range(0, len(cells), CHUNK)]
        return np.concatenate([np.zeros(0, dtype=bool), *parts])

    def describe(self) -> str:
        """See `pipeline.delivery.submission.Column`."""
        ids = name_some([str(number) for number in self.categories], limit=12)
        return (
            "empty or groups of six numbers: category score x y w h, with a category of "
            f"{ids}, a score from 0 to 1, and w and h above 0"
        )

    def _wrong(self, cells: list, allowed: set[str]) -> np.ndarray:
        wrong = np.zeros(len(cells), dtype=bool)
        words: list[str] = []
        owners: list[int] = []
        for place, cell in enumerate(cells):
            split = cell.split() if isinstance(cell, str) and PLAIN.fullmatch(cell) else [""]
            if len(split) % GROUP or not allowed.issuperset(split[::GROUP]):
                wrong[place] = True
            else:
                words += split
                owners += [place] * (len(split) // GROUP)
        numbers = pd.to_numeric(pd.Series(words, dtype=object), errors="coerce").to_numpy(dtype=np.float64)
        groups = numbers.reshape(-1, GROUP)
        good = np.isfinite(groups).all(axis=1) & (groups[:, 1] >= 0) & (groups[:, 1] <= 1)
        good &= (groups[:, 4:] > 0).all(axis=1)
        wrong[np.asarray(owners, dtype=np.int64)[~good]] = True
        return wrong


def format_boxes(
    labels: Sequence[str],
    scores: Sequence[float],
    boxes: Sequence | np.ndarray,
    categories: Mapping[str, int],
) -> str:
    """One image's boxes as a cell.

    Scores keep five significant digits. Corners are rounded to hundredths of a pixel, and width and height
    follow from these, so that no edge moves by more than 0.005; a side that would vanish becomes 0.01.

    Parameters
    ----------
    labels, scores, boxes : in parallel; boxes (N, 4) in xyxy.
    categories : class name -> the organiser's id.

    Returns
    -------
    The cell; empty for no boxes.

    Raises
    ------
    ValueError : a label without an id, a score outside 0 to 1, a coordinate that is not finite, an inverted
        box.
    """
    groups = []
    for label, score, box in zip(labels, scores, boxes, strict=True):
        if label not in categories:
            raise ValueError(f"there is no category id for {label!r}")
        if not 0 <= score <= 1:
            raise ValueError(f"the score {score} is not from 0 to 1")
        x1, y1, x2, y2 = (float(value) for value in box)
        if not all(map(math.isfinite, (x1, y1, x2, y2))) or x2 < x1 or y2 < y1:
            raise ValueError(f"the box {[x1, y1, x2, y2]} is inverted or not finite")
        left, top, right, bottom = (round(100 * value) for value in (x1, y1, x2, y2))
        sides = (left, top, max(1, right - left), max(1, bottom - top))
        # Twelve digits print any whole number of hundredths exactly, and without trailing zeros.
        text = " ".join(f"{value / 100:.12g}" for value in sides)
        groups.append(f"{categories[label]} {float(score):.5g} {text}")
    return " ".join(groups)


def box_cells(predictions: pd.DataFrame, categories: Mapping[str, int]) -> pd.Series:
    """The cells of a predictions frame, see `format_boxes`: str, in its row order."""
    columns = (predictions[name] for name in ("labels", "scores", "boxes"))
    cells = [
        format_boxes(labels, scores, box_array(boxes), categories)
        for labels, scores, boxes in zip(*columns, strict=True)
    ]
    return pd.Series(cells, index=predictions.index, dtype="str")


def parse_boxes(text: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inverse of `format_boxes`.

    Returns
    -------
    categories : int64 (N,), the organiser's ids.
    scores : float64 (N,).
    boxes : float64 (N, 4) in xyxy.

    Raises
    ------
    ValueError : something that is no number, or a count of numbers that six does not divide.
    """
    words = text.split()
    if len(words) % GROUP:
        raise ValueError(f"{len(words)} numbers, and they must come in groups of {GROUP}")
    groups = np.array([float(word) for word in words]).reshape(-1, GROUP)
    categories = np.array([int(word) for word in words[::GROUP]], dtype=np.int64)
    boxes = np.concatenate([groups[:, 2:4], groups[:, 2:4] + groups[:, 4:]], axis=1)
    return categories, groups[:, 1], boxes
