"""A competition's decision, fitted on out-of-fold predictions and scored on images it was not fitted on."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipeline.base.progress import say
from pipeline.competition.base import Competition
from pipeline.competition.evaluate import evaluation_of
from pipeline.frame.schema import rows_by_id


@dataclass(frozen=True, kw_only=True)
class Decided:
    """Predictions with their decisions.

    Attributes
    ----------
    oof : each fold's decisions were fitted on the other folds.
    test : decisions fitted on all out-of-fold predictions.
    fitted : what was fitted on all.
    """

    oof: pd.DataFrame
    test: pd.DataFrame
    fitted: Any


def decide(
    competition: Competition,
    truth: pd.DataFrame,
    oof: pd.DataFrame,
    test: pd.DataFrame,
    folds: np.ndarray,
    classes: list[str],
) -> Decided:
    """Fit the competition's decision, where it has one; predictions pass as they are where not.

    Parameters
    ----------
    truth : the train frame, with the images of `oof` among others.
    folds : (N,) the fold of each row of `oof`. One fold alone is fitted and scored in two halves.
    """
    decision = competition.decision
    if decision is None:
        return Decided(oof=oof, test=test, fitted=None)
    score = _Scored(competition, truth, classes)
    parts = folds if len(np.unique(folds)) > 1 else np.arange(len(oof)) % 2
    decided = []
    for part in np.unique(parts):
        inside = parts == part
        fitted = decision.fit(oof[~inside].reset_index(drop=True), classes, score)
        decided.append(decision.apply(oof[inside], classes, fitted))
    fitted = decision.fit(oof, classes, score)
    say(f"decided by {type(decision).__name__}: {fitted}")
    return Decided(
        oof=pd.concat(decided).loc[oof.index], test=decision.apply(test, classes, fitted), fitted=fitted
    )


class _Scored:
    """See `Score`."""

    def __init__(self, competition: Competition, truth: pd.DataFrame, classes: list[str]) -> None:
        self.competition, self.frame, self.classes = competition, truth, classes
        self.metric, self.task = competition.metric, competition.task
        self.kept: dict[Any, Any] = {}

    def __call__(self, predictions: pd.DataFrame) -> float:
        score = evaluation_of(self.competition, self.frame, predictions, self.classes).score
        return self.metric.sign * score

    def truth(self, predictions: pd.DataFrame) -> pd.DataFrame:
        """See `Score`."""
        return rows_by_id(self.frame, predictions["image_id"])
