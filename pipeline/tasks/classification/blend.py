"""Blending classifiers: rank, climb and stack."""

import numpy as np
import pandas as pd

from pipeline.base.errors import UserError
from pipeline.frame.top import is_top, ordered, read_top, shared, top_frame
from pipeline.frame.values import frame_of, values_of
from pipeline.prediction.combine import (
    Combination,
    climb,
    fit_nested,
    log_probabilities,
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
    if is_top(request.oofs[0]):
        return blend_tops(request)
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

    if request.method == "stack":
        labels = pd.Index(classes).get_indexer(request.truth["label"].to_numpy())
        features = request.with_tables(log_probabilities(oof)[None], log_probabilities(test)[None])

        def stacked(rows: np.ndarray) -> Combination:
            model = stacker(features[0][0, rows], labels[rows], len(classes))
            return lambda other: model(other[0])

        return framed(*fit_nested(stacked, *features, request.folds), "stack")

    def shares(rows: np.ndarray) -> np.ndarray:
        part = request.truth.iloc[rows].reset_index(drop=True)
        return climb(oof[:, rows], lambda mean: request.score(part, frame_of(ids[rows], mean, classes)))

    result = fit_nested(lambda rows: weighted(shares(rows)), oof, test, request.folds)
    return framed(*result, f"climb, weights {shares(np.arange(oof.shape[1])).round(3).tolist()}")


def blend_tops(request: BlendRequest) -> Blended:
    """`climb` among the classes that are kept of each row by the mean of the runs.

    Raises
    ------
    UserError : another method, which needs the probability of every class.
    """
    if request.method != "climb":
        raise UserError(
            f"--method {request.method} needs the probability of every class, and of so many classes the "
            "most probable ones are kept alone: take --method mean or climb"
        )
    oofs, tests = ([read_top(frame) for frame in frames] for frames in (request.oofs, request.tests))
    (codes, oof), (test_codes, test) = shared(oofs), shared(tests)
    ids, test_ids = request.oofs[0]["image_id"].to_numpy(), request.tests[0]["image_id"].to_numpy()
    classes = oofs[0].classes

    def shares(rows: np.ndarray) -> np.ndarray:
        part = request.truth.iloc[rows].reset_index(drop=True)
        own = codes[rows]
        return climb(
            oof[:, rows],
            lambda mean: request.score(part, top_frame(ids[rows], ordered(own, mean, classes))),
        )

    result, whole = fit_nested(lambda rows: weighted(shares(rows)), oof, test, request.folds)
    return Blended(
        oof=top_frame(ids, ordered(codes, result, classes)),
        test=top_frame(test_ids, ordered(test_codes, whole, classes)),
        note=f"climb, weights {shares(np.arange(oof.shape[1])).round(3).tolist()}",
    )
