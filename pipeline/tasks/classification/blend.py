"""Blending classifiers: rank, climb and stack."""

import numpy as np
import pandas as pd

from pipeline.frame.values import frame_of, values_of
from pipeline.prediction.combine import (
    Combination,
    climb,
    fit_nested,
    normalised,
    ranked,
    stacker,
    weighted,
)
from pipeline.tasks.task import Blended, BlendRequest

METHODS = {
    "mean": "probabilities are averaged",
    "rank": "ranks are averaged",
    "stack": "a logistic regression is fitted fold by fold",
    "climb": "weights are fitted fold by fold",
}


def blend(request: BlendRequest) -> Blended:
    """`rank` gives rank shares, `stack` the probabilities of a logistic regression on log probabilities,
    `climb` a weighted mean.

    Raises
    ------
    UserError : something is to be fitted, and there is one fold alone.
    """
    classes = list(request.classes)
    oof = np.stack([values_of(frame, classes) for frame in request.oofs])
    test = np.stack([values_of(frame, classes) for frame in request.tests])
    ids, test_ids = request.oofs[0]["image_id"].to_numpy(), request.tests[0]["image_id"].to_numpy()

    def framed(oof_values: np.ndarray, test_values: np.ndarray, note: str) -> Blended:
        return Blended(
            oof=frame_of(ids, normalised(oof_values), classes),
            test=frame_of(test_ids, normalised(test_values), classes),
            note=note,
        )

    if request.method == "rank":
        return framed(ranked(oof).mean(axis=0), ranked(test).mean(axis=0), "rank, equal weights")

    def shares(rows: np.ndarray) -> np.ndarray:
        part = request.truth.iloc[rows].reset_index(drop=True)
        return climb(oof[:, rows], lambda mean: request.score(part, frame_of(ids[rows], mean, classes)))

    def fit(rows: np.ndarray) -> Combination:
        if request.method == "climb":
            return weighted(shares(rows))
        labels = pd.Index(classes).get_indexer(request.truth["label"].to_numpy()[rows])
        return stacker(oof[:, rows], labels)

    everything = np.arange(oof.shape[1])
    result = fit_nested(fit, oof, test, request.folds)
    weights = f", weights {shares(everything).round(3).tolist()}" if request.method == "climb" else ""
    return framed(*result, request.method + weights)
