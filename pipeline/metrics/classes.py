"""Scores of decisions: how many are right, and how far off the wrong ones are."""

import numpy as np

from pipeline.metrics.arrays import check_decisions, mean_or_nan


def accuracy(truth: np.ndarray, predictions: np.ndarray) -> float:
    """Share of the rows that are right.

    Parameters
    ----------
    truth, predictions : int (N,) class indices, or bool (N, C) of labels, where a row is right if all its
        labels are.

    Returns
    -------
    0 to 1; NaN without rows.

    Raises
    ------
    ValueError : shapes or types that do not fit.
    """
    check_decisions(truth, predictions)
    right = truth == predictions
    return mean_or_nan(right if right.ndim == 1 else right.all(axis=1))


def quadratic_kappa(truth: np.ndarray, predictions: np.ndarray) -> float:
    """Cohen's kappa for ordered classes: a decision that is k classes off costs k squared.

    Parameters
    ----------
    truth, predictions : int (N,); neighbouring classes differ by 1.

    Returns
    -------
    Up to 1 (all right); 0 for what chance reaches, below it for worse. NaN without rows, and where truth and
    predictions are one and the same class throughout, for chance is then always right.

    Raises
    ------
    ValueError : shapes or types that do not fit.

    References
    ----------
    Cohen, Weighted kappa, Psychological Bulletin 70 (1968); aptos2019-blindness-detection.
    """
    check_decisions(truth, predictions)
    if truth.ndim != 1:
        raise ValueError(f"kappa compares class indices (N,), not labels of the shape {truth.shape}")
    if not len(truth):
        return float("nan")
    low = min(int(truth.min()), int(predictions.min()))
    high = max(int(truth.max()), int(predictions.max()))
    if low == high:
        return float("nan")
    from sklearn.metrics import cohen_kappa_score

    # Without labels scikit-learn would number the classes that occur, and 0 and 4 would be neighbours.
    labels = np.arange(low, high + 1)
    return float(cohen_kappa_score(truth, predictions, labels=labels, weights="quadratic"))
