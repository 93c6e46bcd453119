"""Submissions with all boxes of an image in one cell, written as a competition says."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from string import Formatter

import numpy as np
import pandas as pd

from pipeline.base.errors import name_some
from pipeline.frame.boxes import box_array

NUMBER = r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?"
SCORE = r"(?:0(?:\.\d+)?|1(?:\.0+)?|\d(?:\.\d+)?e-\d+)"


@dataclass(frozen=True, kw_only=True)
class BoxCells:
    """A Column of texts with a group of words for each box, in descending order of scores.

    Attributes
    ----------
    form : a group, of ``{label}``, ``{score}``, ``{x}`` and ``{y}`` (left and top), ``{w}``, ``{h}``,
        ``{x2}`` and ``{y2}`` (right and bottom), ``{cx}`` and ``{cy}`` (centre), each with a format as Python
        has it: ``{score:.4f} {x} {y} {w} {h}``.
    labels : the classes, none of which has a blank.
    whole : whether corners are rounded to whole pixels first, so that all numbers but the score and the
        centre are whole.
    none : what stands for an image without boxes.
    """

    form: str
    labels: Sequence[str] = ()
    whole: bool = False
    none: str = ""

    def cells(self, predictions: pd.DataFrame) -> list[str]:
        """Of each row of a predictions frame."""
        columns = (predictions[name] for name in ("labels", "scores", "boxes"))
        return [self.cell(*row) for row in zip(*columns, strict=True)]

    def cell(self, labels: Sequence[str], scores: Sequence[float], boxes: Sequence | np.ndarray) -> str:
        """Of one image; boxes (N, 4) in xyxy."""
        corners = box_array(boxes)
        corners = np.rint(corners).astype("int64") if self.whole else corners
        groups = []
        for label, score, (x, y, x2, y2) in zip(labels, scores, corners.tolist(), strict=True):
            w, h, centre = x2 - x, y2 - y, {"cx": (x + x2) / 2, "cy": (y + y2) / 2}
            if self.whole:
                w, h = max(1, w), max(1, h)
            groups.append(
                self.form.format(label=label, score=score, x=x, y=y, x2=x2, y2=y2, w=w, h=h, **centre)
            )
        return " ".join(groups) or self.none

    def wrong(self, values: pd.Series) -> np.ndarray:
        """See Column."""
        known = {"label": "|".join(map(re.escape, self.labels)) or r"\S+", "score": SCORE}
        group = "".join(
            re.escape(text) + ("" if field is None else f"(?:{known.get(field, NUMBER)})")
            for text, field, _, _ in Formatter().parse(self.form)
        )
        pattern = re.compile(rf"{re.escape(self.none)}|{group}(?: {group})*")
        return np.array([pattern.fullmatch(str(cell)) is None for cell in values], dtype=bool)

    def describe(self) -> str:
        """See Column."""
        fields = [f"{field}" for _, field, _, _ in Formatter().parse(self.form) if field]
        named = f", with a label of {name_some(self.labels, limit=12)}" if self.labels else ""
        return f"{self.none or 'empty'} or groups of {len(fields)} words: {' '.join(fields)}{named}"
