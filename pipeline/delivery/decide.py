"""A competition's decision, fitted on out-of-fold predictions and scored on images it was not fitted on."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipeline.base.progress import say
from pipeline.competition.base import Competition
from pipeline.competition.evaluate import evaluation_of


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
    sign = competition.metric.sign

    def fit(part: pd.DataFrame) -> Any:
        def score(predictions: pd.DataFrame) -> float:
            return sign * evaluation_of(competition, truth, predictions, classes).score

        return decision.fit(part, classes, score)

    parts = folds if len(np.unique(folds)) > 1 else np.arange(len(oof)) % 2
    decided = []
    for part in np.unique(parts):
        inside = parts == part
        fitted = fit(oof[~inside].reset_index(drop=True))
        decided.append(decision.apply(oof[inside], classes, fitted))
    fitted = fit(oof)
    say(f"decided by {type(decision).__name__}: {fitted}")
    return Decided(
        oof=pd.concat(decided).loc[oof.index], test=decision.apply(test, classes, fitted), fitted=fitted
    )
