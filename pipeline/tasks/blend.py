"""Blending one number for each label or target. Nothing is normalised: rows do not sum to 1."""

import numpy as np

from pipeline.frame.values import frame_of, values_of
from pipeline.prediction.combine import Combination, climb, fit_nested, ranked, weighted
from pipeline.tasks.task import Blended, BlendRequest


def blend(request: BlendRequest) -> Blended:
    """`rank` gives rank shares, `climb` a weighted mean.

    Raises
    ------
    UserError : something is to be fitted, and there is one fold alone.
    """
    classes = list(request.classes)
    oof = np.stack([values_of(frame, classes) for frame in request.oofs])
    test = np.stack([values_of(frame, classes) for frame in request.tests])
    ids, test_ids = request.oofs[0]["image_id"].to_numpy(), request.tests[0]["image_id"].to_numpy()
    if request.method == "rank":
        return Blended(
            oof=frame_of(ids, ranked(oof).mean(axis=0), classes),
            test=frame_of(test_ids, ranked(test).mean(axis=0), classes),
            note="rank, equal weights",
        )

    def shares(rows: np.ndarray) -> np.ndarray:
        part = request.truth.iloc[rows].reset_index(drop=True)
        return climb(oof[:, rows], lambda mean: request.score(part, frame_of(ids[rows], mean, classes)))

    def fit(rows: np.ndarray) -> Combination:
        return weighted(shares(rows))

    result, whole = fit_nested(fit, oof, test, request.folds)
    weights = shares(np.arange(oof.shape[1])).round(3).tolist()
    return Blended(
        oof=frame_of(ids, result, classes),
        test=frame_of(test_ids, whole, classes),
        note=f"climb, weights {weights}",
    )
