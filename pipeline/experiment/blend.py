"""Combining finished runs by what their out-of-fold predictions are worth, scored honestly.

Whatever is fitted (weights, a stacker) is fitted on the images of all folds but one and applied to that one,
so that the blend's out-of-fold predictions were not seen when they were made; the test predictions come from
a fit on all.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from pipeline.base.errors import UserError

Method = Literal["mean", "rank", "climb", "stack"]
ROUNDS = 50
"""Picks of hill climbing: weights are multiples of a fiftieth."""


@dataclass(frozen=True)
class Blend:
    """Predictions of a blend, and what was fitted.

    Attributes
    ----------
    note : the weights, for people.
    """

    oof: pd.DataFrame
    test: pd.DataFrame
    note: str


def blend_probabilities(
    method: Method,
    oofs: Sequence[pd.DataFrame],
    tests: Sequence[pd.DataFrame],
    truth: pd.DataFrame,
    folds: np.ndarray,
    classes: Sequence[str],
    score: Callable[[pd.DataFrame, pd.DataFrame], float],
    larger_is_better: bool,
) -> Blend:
    """Blend runs of one probability column per class.

    Parameters
    ----------
    oofs, tests : predictions of each run, all with the same ids in the same order.
    truth : image_id and label, in the order of `oofs`.
    folds : (N,) the fold of each of these rows.
    score : the metric of truth and predictions.

    Returns
    -------
    The blend; `rank` gives rank shares, `stack` the probabilities of a logistic regression on log
    probabilities, `climb` a weighted mean by greedy selection with replacement (Caruana et al., ICML 2004).

    Raises
    ------
    UserError : something is to be fitted, and there is one fold alone.
    """
    if method in ("climb", "stack") and len(np.unique(folds)) < 2:
        raise UserError(
            f"the runs validate on one fold alone, so that nothing is left to fit {method} on honestly: take "
            "--method mean or rank, or runs with more folds"
        )
    names = list(classes)
    train = np.stack([frame[names].to_numpy(dtype=np.float64) for frame in oofs])
    test = np.stack([frame[names].to_numpy(dtype=np.float64) for frame in tests])

    def weights(rows: np.ndarray) -> np.ndarray:
        if method != "climb":
            return np.full(len(oofs), 1 / len(oofs))
        sign, part = (1 if larger_is_better else -1), truth.iloc[rows].reset_index(drop=True)
        return _climb(train[:, rows], lambda mean: sign * score(part, _frame(part, mean, names)))

    def fitted(rows: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        if method == "stack":
            return _stacker(train[:, rows], pd.Index(names).get_indexer(truth["label"].to_numpy()[rows]))
        share = weights(rows)
        return lambda values: np.tensordot(share, _ranked(values) if method == "rank" else values, axes=1)

    result = np.zeros(train.shape[1:])
    for fold in np.unique(folds):
        inside = folds == fold
        result[inside] = fitted(np.flatnonzero(~inside))(train[:, inside])
    everything = np.arange(train.shape[1])
    whole = fitted(everything)(test)
    note = method if method == "stack" else f"{method}, weights {weights(everything).round(3).tolist()}"
    return Blend(_frame(oofs[0], _normal(result), names), _frame(tests[0], _normal(whole), names), note)


def _climb(values: np.ndarray, score: Callable[[np.ndarray], float]) -> np.ndarray:
    """Weights of runs (R, N, C): the best one first, then whichever helps most, until none does."""
    counts = np.zeros(len(values))
    total, best = np.zeros(values.shape[1:]), -np.inf
    for picked in range(1, ROUNDS + 1):
        scores = [score((total + one) / picked) for one in values]
        choice = int(np.argmax(scores))
        if scores[choice] <= best:
            break
        best, total = scores[choice], total + values[choice]
        counts[choice] += 1
    return counts / counts.sum()


def _ranked(values: np.ndarray) -> np.ndarray:
    """Share of the images with a lower probability, for each run and class."""
    order = values.argsort(axis=1, kind="stable").argsort(axis=1, kind="stable")
    return (order + 1) / values.shape[1]


def _stacker(values: np.ndarray, labels: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1.0, max_iter=1000)
    model.fit(_logits(values), labels)

    def apply(other: np.ndarray) -> np.ndarray:
        result = np.zeros(other.shape[1:])
        result[:, model.classes_] = model.predict_proba(_logits(other))
        return result

    return apply


def _logits(values: np.ndarray) -> np.ndarray:
    return np.log(np.concatenate(list(values), axis=1).clip(1e-6, 1))


def _normal(values: np.ndarray) -> np.ndarray:
    return values / values.sum(axis=1, keepdims=True).clip(1e-12)


def _frame(like: pd.DataFrame, values: np.ndarray, names: list[str]) -> pd.DataFrame:
    frame = pd.DataFrame(values.astype("float32"), columns=names)
    frame.insert(0, "image_id", like["image_id"].to_numpy())
    return frame


def check_alike(oofs: Sequence[pd.DataFrame], names: Sequence[str]) -> None:
    """Raise UserError where runs were not validated on the same images, so that they cannot be compared."""
    first = set(oofs[0]["image_id"])
    for frame, name in zip(oofs[1:], names[1:], strict=True):
        if set(frame["image_id"]) != first:
            raise UserError(
                f"{name} and {names[0]} were validated on different images: blend runs with the same folds"
            )
