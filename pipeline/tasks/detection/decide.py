"""Least scores of boxes, fitted on out-of-fold predictions for the competition's own metric."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from pipeline.frame.instance_tables import coded_mask, masks_of
from pipeline.prediction.decide import GRID, Decision, Score

STEP = 4
"""Of the thresholds, every so many is tried, and then those between around the best."""
ROUNDS = 2
"""Passes over the classes, where each has its own threshold."""
PARALLEL = ("boxes", "scores", "labels", "masks")
"""Columns of a predictions frame with a value for each box."""
LEFT = 0.5
"""Share of a mask that better ones must leave for it to stay."""


class BoxRules(Decision):
    """Boxes with a score of at least a threshold; others are taken off the predictions. For metrics that
    punish every wrong box, such as F scores: average precision needs no threshold.

    Parameters
    ----------
    per_class : a threshold for each class instead of one for all, of classes with many boxes.
    apart : whether masks must not overlap: a pixel is that of the mask with the best score, and a mask of
        which half is lost goes. Boxes stay as they are.
    """

    def __init__(self, per_class: bool = False, apart: bool = False) -> None:
        self.per_class, self.apart = per_class, apart

    def fit(self, predictions: pd.DataFrame, classes: Sequence[str], score: Score) -> list[float]:
        """See Decision. Ties go to the lower threshold."""
        parted = _parted(predictions) if self.apart else predictions

        @cache
        def rate(thresholds: tuple[float, ...]) -> float:
            found = score(_above(parted, classes, thresholds))
            return -np.inf if np.isnan(found) else found

        every = list(range(len(classes)))
        grid = [0.0, *GRID.round(6).tolist()]
        fitted = (0.0,) * len(classes)
        # One for all first: with the wrong boxes of all others no class's own threshold shows.
        for group in [every, *([place] for _ in range(ROUNDS * self.per_class) for place in every)]:
            lines = [_with(fitted, group, value) for value in grid]
            best = max(range(0, len(grid), STEP), key=lambda place, lines=lines: rate(lines[place]))
            near = lines[max(0, best - STEP + 1) : best + STEP]
            fitted = max([fitted, lines[best], *near], key=rate)
        return list(fitted)

    def apply(self, predictions: pd.DataFrame, classes: Sequence[str], fitted: Any) -> pd.DataFrame:
        """See Decision."""
        return _above(_parted(predictions) if self.apart else predictions, classes, fitted)


def _with(thresholds: tuple[float, ...], group: Sequence[int], value: float) -> tuple[float, ...]:
    """The thresholds with another one of some classes."""
    return tuple(value if place in group else one for place, one in enumerate(thresholds))


def _above(predictions: pd.DataFrame, classes: Sequence[str], thresholds: Sequence[float]) -> pd.DataFrame:
    least = dict(zip(classes, thresholds, strict=True))
    kept = [
        [place for place, one in enumerate(zip(scores, labels, strict=True)) if one[0] >= least[one[1]]]
        for scores, labels in zip(predictions["scores"], predictions["labels"], strict=True)
    ]
    return _of(predictions, kept)


def _of(predictions: pd.DataFrame, kept: Sequence[Sequence[int]]) -> pd.DataFrame:
    """Some of the boxes of each image, by number."""
    cells = {
        column: [
            [cell[place] for place in places] for cell, places in zip(predictions[column], kept, strict=True)
        ]
        for column in PARALLEL
        if column in predictions
    }
    lists = {name: pd.Series(cell, predictions.index, dtype=object) for name, cell in cells.items()}
    return predictions.assign(**lists)


def _parted(predictions: pd.DataFrame) -> pd.DataFrame:
    """Predictions whose masks do not overlap."""
    if "masks" not in predictions:
        return predictions
    rows = [_apart(list(masks)) for masks in predictions["masks"]]
    masks = pd.Series([texts for texts, _ in rows], predictions.index, dtype=object)
    return _of(predictions.assign(masks=masks), [kept for _, kept in rows])


def _apart(masks: list[str]) -> tuple[list[str], list[int]]:
    """Masks of an image, in descending order of their scores, without the pixels of those before; and which
    of them stay."""
    taken, kept = None, []
    for place, mask in enumerate(masks_of(masks)):
        left = mask if taken is None else mask & ~taken
        if left.sum() <= LEFT * mask.sum():
            continue
        taken = left if taken is None else taken | left
        kept.append(place)
        if (left != mask).any():
            masks[place] = coded_mask(left)[1]
    return masks, kept
