"""Blending one number for each label or target. Nothing is normalised: rows do not sum to 1."""

from collections.abc import Callable

import numpy as np

from pipeline.frame.values import frame_of, values_of
from pipeline.prediction.combine import (
    Combination,
    Model,
    climb,
    each_column,
    fit_nested,
    ranked,
    weighted,
)
from pipeline.tasks.task import Blended, BlendRequest

Fit = Callable[[np.ndarray, np.ndarray], Model]
"""From features (N, F) and the truth (N,) of one column to a model that predicts it (N,)."""


def blend_stacked(
    request: BlendRequest, truth: np.ndarray, fit: Fit, link: Callable[[np.ndarray], np.ndarray]
) -> Blended:
    """A model for each column, of what the runs predict for it and of the table beside the images.

    Parameters
    ----------
    truth : (N, K) of the first K of the classes; what is behind them is averaged.
    link : what is made of predictions before a model gets them.

    Raises
    ------
    UserError : there is one fold alone.
    """
    classes, count = list(request.classes), truth.shape[1]
    oof, test = (
        np.stack([values_of(frame, classes) for frame in frames]) for frames in (request.oofs, request.tests)
    )
    features = request.with_tables(*(link(values[:, :, :count]).transpose(2, 1, 0) for values in (oof, test)))
    found = fit_nested(each_column(fit, features[0], truth), *features, request.folds)
    frames = [
        frame_of(first["image_id"].to_numpy(), np.concatenate([own, mean], axis=1), classes)
        for first, own, mean in zip(
            (request.oofs[0], request.tests[0]),
            found,
            (values.mean(axis=0)[:, count:] for values in (oof, test)),
            strict=True,
        )
    ]
    return Blended(oof=frames[0], test=frames[1], note="stack")


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
