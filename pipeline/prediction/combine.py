"""Combining predictions of several runs by what their out-of-fold predictions are worth, scored honestly.

Whatever is fitted (weights, a stacker) is fitted on the images of all folds but one and applied to that one,
so that the blend's out-of-fold predictions were not seen when they were made; the test predictions come from
a fit on all.
"""

from collections.abc import Callable

import numpy as np
from scipy.stats import rankdata

from pipeline.base.errors import UserError

ROUNDS = 50
"""Picks of hill climbing: weights are multiples of a fiftieth."""

RIDGE = np.logspace(-2, 4, 13)
"""Strengths of regularisation that are tried."""

Values = np.ndarray
"""float64 (R, N, C): the predictions of each run."""
Combination = Callable[[Values], np.ndarray]
"""From the predictions of each run (R, N, C) to those of the blend (N, C)."""


def fit_nested(
    fit: Callable[[np.ndarray], Combination], oof: Values, test: Values, folds: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Blend out-of-fold predictions (R, N, C) and test predictions (R, M, C), or whatever else of these rows
    a combination takes.

    Parameters
    ----------
    fit : makes a combination from the row numbers it may look at.
    folds : (N,) the fold of each row.

    Raises
    ------
    UserError : there is one fold alone, so that nothing is left to fit on.
    """
    if len(np.unique(folds)) < 2:
        raise UserError(
            "the runs validate on one fold alone, so that nothing is left to fit a blend on honestly: take "
            "--method mean or rank, or runs with more folds"
        )
    made = {fold: fit(np.flatnonzero(folds != fold))(oof[:, folds == fold]) for fold in np.unique(folds)}
    result = np.zeros((oof.shape[1], *next(iter(made.values())).shape[1:]))
    for fold, values in made.items():
        result[folds == fold] = values
    return result, fit(np.arange(oof.shape[1]))(test)


def weighted(shares: np.ndarray) -> Combination:
    """The mean of the runs with these weights (R,)."""
    return lambda values: np.tensordot(shares, values, axes=1)


def climb(values: np.ndarray, score: Callable[[np.ndarray], float]) -> np.ndarray:
    """Weights of runs (R, N, C) by greedy selection with replacement (Caruana et al., ICML 2004): the best
    one first, then whichever helps most, until none does. `score` is larger for better predictions (N, C)."""
    counts = np.zeros(len(values))
    total, best = np.zeros(values.shape[1:]), -np.inf
    for picked in range(1, ROUNDS + 1):
        scores = [score((total + one) / picked) for one in values]
        scores = [-np.inf if np.isnan(one) else one for one in scores]
        choice = int(np.argmax(scores))
        if scores[choice] <= best:
            break
        best, total = scores[choice], total + values[choice]
        counts[choice] += 1
    # A score that nothing has, such as an AUC of one class alone, chooses nothing.
    return counts / counts.sum() if counts.any() else np.full(len(values), 1 / len(values))


def ranked(values: np.ndarray) -> np.ndarray:
    """Rank shares (R, N, C), above 0 up to 1, of each run and class; equal values share the mean of their
    ranks, whatever their order."""
    return rankdata(values, axis=1) / values.shape[1]


Model = Callable[[np.ndarray], np.ndarray]
"""From features (N, F) to what is predicted of them."""


def stacker(features: np.ndarray, labels: np.ndarray, count: int) -> Model:
    """Logistic regression from features (N, F) to probabilities (N, count) of the class indices `labels`."""
    from sklearn.linear_model import LogisticRegression

    if len(np.unique(labels)) < 2:  # nothing to tell apart
        constant = np.bincount(labels, minlength=count) / max(1, len(labels))
        return lambda other: np.tile(constant, (len(other), 1))
    model = LogisticRegression(C=1.0, max_iter=1000)
    model.fit(features, labels)

    def apply(other: np.ndarray) -> np.ndarray:
        result = np.zeros((len(other), count))
        result[:, model.classes_] = model.predict_proba(other)
        return result

    return apply


def ridge(features: np.ndarray, values: np.ndarray) -> Model:
    """Ridge regression from features (N, F), standardised, to `values` (N,); its strength is chosen by
    leaving one row out."""
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), RidgeCV(alphas=RIDGE))
    model.fit(features, values)
    return lambda other: np.asarray(model.predict(other))


def each_column(
    fit: Callable[[np.ndarray, np.ndarray], Model], features: np.ndarray, truth: np.ndarray
) -> Callable[[np.ndarray], Combination]:
    """For `fit_nested`: a model of its own for each of the columns that are predicted.

    Parameters
    ----------
    fit : makes a model, which predicts (N,), of features (N, F) and the truth (N,) of a column.
    features : (C, N, F).
    truth : (N, C).
    """

    def fitted(rows: np.ndarray) -> Combination:
        models = [fit(one[rows], column) for one, column in zip(features, truth[rows].T, strict=True)]
        return lambda other: np.stack([model(one) for model, one in zip(models, other, strict=True)], axis=1)

    return fitted


def log_probabilities(values: Values) -> np.ndarray:
    """Of all runs side by side (N, R * C), clipped at one in a million."""
    return np.log(np.concatenate(list(values), axis=1).clip(1e-6, 1))


def normalised(values: np.ndarray) -> np.ndarray:
    """Rows (N, C) scaled to a sum of 1, where a task says that they have one."""
    return values / values.sum(axis=1, keepdims=True).clip(1e-12)
