"""All scores of a run's predictions, computed once."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from pipeline.base.errors import UserError
from pipeline.competition.base import Competition
from pipeline.frame.schema import rows_by_id
from pipeline.frame.top import Top
from pipeline.metrics.metric import Metric, Needs
from pipeline.tasks.task import Rows, rows_of


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Predictions held against the truth.

    Attributes
    ----------
    truth, predictions : the same ids in the same order.
    """

    competition: Competition
    truth: pd.DataFrame
    predictions: pd.DataFrame
    classes: Sequence[str]

    @cached_property
    def _made(self) -> dict[str, tuple[Rows, ...]]:
        return {}

    def evidence(self, needs: Needs) -> tuple[Rows, ...]:
        """What metrics of this kind are called with; made once."""
        if needs not in self._made:
            task = self.competition.task
            self._made[needs] = task.evidence(needs, self.truth, self.predictions, self.classes)
        return self._made[needs]

    def of(self, metric: Metric, rows: np.ndarray | None = None) -> float:
        """One metric, over all images or some row numbers of them."""
        parts = self.evidence(metric.needs)
        if rows is not None:
            parts = tuple(rows_of(part, rows) for part in parts)
        extra = (list(self.classes),) if metric.needs in ("boxes", "frames") else ()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # scikit-learn's, about scores that are undefined: they are NaN
            try:
                if not metric.takes_top:
                    parts = tuple(part.dense() if isinstance(part, Top) else part for part in parts)
                return float(metric.function(*parts, *extra))
            except ValueError as error:
                raise UserError(f"{metric.name} cannot be computed: {error}") from error

    @cached_property
    def score(self) -> float:
        """The competition's metric."""
        return self.of(self.competition.metric)

    def fold_scores(self, folds: np.ndarray) -> list[float]:
        """The competition's metric on each fold.

        Parameters
        ----------
        folds : (N,) the fold of each row.
        """
        return [self.of(self.competition.metric, np.flatnonzero(folds == fold)) for fold in np.unique(folds)]

    @cached_property
    def extra(self) -> dict[str, float]:
        """The competition's further figures, by name."""
        metrics = {metric.name: self.of(metric) for metric in self.competition.extra_metrics}
        return metrics | self.competition.extra_scores(self.truth, self.predictions, self.classes)


def evaluation_of(
    competition: Competition, truth: pd.DataFrame, predictions: pd.DataFrame, classes: Sequence[str]
) -> Evaluation:
    """Hold predictions against the truth of their images, joined by image id.

    Parameters
    ----------
    truth : has the images of `predictions`, among others, in any order.
    """
    rows = rows_by_id(truth, predictions["image_id"])
    return Evaluation(competition=competition, truth=rows, predictions=predictions, classes=classes)
