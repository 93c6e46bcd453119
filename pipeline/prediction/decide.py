"""Decisions fitted on out-of-fold predictions for the competition's own metric: thresholds and cut points.

A decision adds the column ``decided`` to a predictions frame, or changes what is predicted: that of
`pipeline.prediction.unknown` the place of a class in each row, that on boxes which of them there are.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import pandas as pd

from pipeline.frame.values import values_of
from pipeline.metrics.metric import Metric

DECIDED = "decided"
GRID = np.linspace(0.025, 0.975, 39)
"""Thresholds that are tried."""
WORST = np.finfo("float64").max
"""Loss of a score that is not defined: finite, for the search takes differences."""
ROUNDS = 2
"""Passes over the classes, where each has its own threshold."""


class Score(Protocol):
    """The competition's metric of a predictions frame with decisions, larger for better; and what it follows
    from, for decisions that need not compute all of it for each candidate.

    Attributes
    ----------
    task : the competition's.
    kept : what a fit keeps for the next one, on other rows of the same predictions.
    """

    metric: Metric
    task: Any
    kept: dict[Any, Any]

    def __call__(self, predictions: pd.DataFrame) -> float: ...

    def truth(self, predictions: pd.DataFrame) -> pd.DataFrame:
        """The train frame's rows of these images, in their order."""
        ...


class Decision(ABC):
    """What is fitted is a plain JSON value; it is stored with the run."""

    @abstractmethod
    def fit(self, predictions: pd.DataFrame, classes: Sequence[str], score: Score) -> Any:
        """What scores best on these predictions."""

    @abstractmethod
    def apply(self, predictions: pd.DataFrame, classes: Sequence[str], fitted: Any) -> pd.DataFrame:
        """The predictions with what was decided; see the module."""


class Thresholds(Decision):
    """Lists of the labels whose probability is at least a threshold.

    Parameters
    ----------
    per_class : one threshold for each label instead of one for all; for labels with many images.
    at_least : labels that every image gets, the most probable ones where too few reach the threshold.
    """

    def __init__(self, per_class: bool = False, at_least: int = 0) -> None:
        self.per_class, self.at_least = per_class, at_least

    def fit(self, predictions: pd.DataFrame, classes: Sequence[str], score: Score) -> list[float]:
        """See Decision. Ties go to the threshold closest to one half."""

        def of(values: list[float]) -> float:
            found = score(self.apply(predictions, classes, values))
            return -np.inf if np.isnan(found) else found

        grid = sorted(GRID.tolist(), key=lambda value: abs(value - 0.5))
        best = max(grid, key=lambda value: of([value] * len(classes)))
        fitted = [best] * len(classes)
        for _ in range(ROUNDS if self.per_class else 0):
            for place in range(len(classes)):
                tried = {value: [*fitted[:place], value, *fitted[place + 1 :]] for value in grid}
                fitted = max([fitted, *tried.values()], key=of)
        return [round(value, 6) for value in fitted]

    def apply(self, predictions: pd.DataFrame, classes: Sequence[str], fitted: Any) -> pd.DataFrame:
        """See Decision."""
        values = values_of(predictions, classes)
        chosen = values >= np.asarray(fitted)
        if self.at_least:
            best = np.argsort(-values, axis=1, kind="stable")[:, : self.at_least]
            few = chosen.sum(axis=1) < self.at_least
            chosen[np.flatnonzero(few)[:, None], best[few]] = True
        names = np.asarray(classes, dtype=object)
        lists = pd.Series([names[row].tolist() for row in chosen], index=predictions.index, dtype=object)
        return predictions.assign(**{DECIDED: lists})


class CutPoints(Decision):
    """Whole numbers from a predicted value: where one grade ends and the next begins.

    Parameters
    ----------
    low, high : the lowest and the highest grade.
    """

    def __init__(self, low: int, high: int) -> None:
        self.low, self.high = low, high

    def fit(self, predictions: pd.DataFrame, classes: Sequence[str], score: Score) -> list[float]:
        """See Decision; by Nelder and Mead's method from the middles between the grades."""
        from scipy.optimize import minimize

        def loss(cuts: np.ndarray) -> float:
            found = score(self.apply(predictions, classes, np.sort(cuts).tolist()))
            return float(np.nan_to_num(-found, nan=WORST))

        middles = np.arange(self.low, self.high) + 0.5
        found = minimize(loss, middles, method="Nelder-Mead", options={"maxfev": 100 * len(middles)})
        cuts = np.sort(found.x).round(6)  # compared as they are stored
        return (cuts if loss(cuts) < loss(middles) else middles).tolist()

    def apply(self, predictions: pd.DataFrame, classes: Sequence[str], fitted: Any) -> pd.DataFrame:
        """See Decision."""
        values = values_of(predictions, classes)[:, 0]
        return predictions.assign(**{DECIDED: self.low + np.searchsorted(fitted, values, side="right")})
