"""Blending numbers."""

import numpy as np

from pipeline.frame.values import frame_of, values_of
from pipeline.prediction.combine import Combination, climb, fit_nested, weighted
from pipeline.tasks.task import Blended, BlendRequest

METHODS = {
    "mean": "values are averaged",
    "climb": "weights are fitted fold by fold",
}


def blend(request: BlendRequest) -> Blended:
    """`climb` gives a weighted mean.

    Raises
    ------
    UserError : something is to be fitted, and there is one fold alone.
    """
    classes = list(request.classes)
    oof = np.stack([values_of(frame, classes) for frame in request.oofs])
    test = np.stack([values_of(frame, classes) for frame in request.tests])
    ids, test_ids = request.oofs[0]["image_id"].to_numpy(), request.tests[0]["image_id"].to_numpy()

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
