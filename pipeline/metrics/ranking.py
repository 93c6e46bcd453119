"""Scores of an order: of the rows by a class's score (ROC), or of the classes in a row (top k)."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from pipeline.frame.top import Top
from pipeline.metrics.arrays import (
    check_class_rows,
    check_truth,
    defined_mean,
    label_columns,
    mean_or_nan,
    one_class,
)


def roc_auc(truth: np.ndarray, predictions: np.ndarray, *, positive: int = 1) -> float:
    """Area under the ROC curve of one class against all others.

    Parameters
    ----------
    truth : class indices (N,), or 0 and 1 (N, C).
    predictions : float (N, C), any numbers. A single column is the score of class 1.
    positive : the class that high scores stand for.

    Returns
    -------
    0 to 1, where 0.5 is chance; NaN where all rows belong to the class or none does.

    Raises
    ------
    ValueError : shapes that do not fit, NaN, a class that is no column.
    """
    return _auc(*one_class(truth, predictions, positive))


def mean_column_auc(truth: np.ndarray, predictions: np.ndarray, *, skip_undefined: bool = False) -> float:
    """Mean of the columns' areas under the ROC curve.

    Parameters
    ----------
    truth : class indices (N,), or 0 and 1 (N, C).
    predictions : float (N, C), any numbers.
    skip_undefined : leave out columns that only rows with, or only rows without, the label have; otherwise
        one such column makes the mean NaN.

    Returns
    -------
    0 to 1, where 0.5 is chance; NaN where undefined.

    Raises
    ------
    ValueError : shapes that do not fit, NaN.

    References
    ----------
    plant-pathology-2020-fgvc7, ranzcr-clip-catheter-line-classification.
    """
    labels = label_columns(truth, predictions)
    areas = np.array([_auc(label, score) for label, score in zip(labels.T, predictions.T, strict=True)])
    return defined_mean(areas) if skip_undefined else mean_or_nan(areas)


def weighted_auc(
    truth: np.ndarray,
    predictions: np.ndarray,
    *,
    positive: int = 1,
    bounds: Sequence[float] = (0, 0.4, 1),
    weights: Sequence[float] = (2, 1),
) -> float:
    """Area under the ROC curve whose horizontal slices count differently.

    Parameters
    ----------
    truth, predictions, positive : as for `roc_auc`.
    bounds : true positive rates between which a slice lies, rising from 0 to 1.
    weights : one for each slice. The defaults are ALASKA2's.

    Returns
    -------
    0 to 1, scaled so that the perfect order has 1; NaN where all rows belong to the class or none does.

    Raises
    ------
    ValueError : shapes that do not fit, NaN, a class that is no column.

    Notes
    -----
    The curve is cut exactly where it crosses a bound. The widely copied notebook takes the curve's corners
    inside each slice instead, which comes close with many rows, and gives 0 to a perfect order.

    References
    ----------
    alaska2-image-steganalysis, Evaluation.
    """
    labels, scores = one_class(truth, predictions, positive)
    if labels.all() or not labels.any():
        return float("nan")
    from sklearn.metrics import roc_curve

    x, y, _ = roc_curve(labels, scores)
    cuts = np.asarray(bounds, dtype=np.float64)
    x, y = np.append(x, np.interp(cuts, y, x)), np.append(y, cuts)
    order = np.lexsort((y, x))  # the curve rises with x, so this puts the cuts between its corners
    x, y = x[order], y[order]
    areas = np.array([np.trapezoid(np.clip(y, low, high) - low, x) for low, high in pairwise(cuts)])
    return float(np.dot(areas, weights) / np.dot(np.diff(cuts), weights))


def top_k_error(truth: np.ndarray, predictions: np.ndarray | Top, *, k: int) -> float:
    """Share of the rows whose true class is not among the `k` most probable.

    Parameters
    ----------
    truth : int (N,) class indices.
    predictions : float (N, C). Of equal ones, the lower class index comes first.
    k : from 1.

    Returns
    -------
    0 (best) to 1; NaN without rows.

    Raises
    ------
    ValueError : shapes that do not fit, NaN, `k` below 1.
    """
    return mean_or_nan(_true_rank(truth, predictions, k) > k)


def map_at_k(truth: np.ndarray, predictions: np.ndarray | Top, *, k: int) -> float:
    """Mean average precision at `k` where a row has one true class: 1 over its rank, or 0 beyond `k`.

    Parameters
    ----------
    truth : int (N,) class indices.
    predictions : float (N, C). Of equal ones, the lower class index comes first.
    k : from 1.

    Returns
    -------
    0 to 1; NaN without rows.

    Raises
    ------
    ValueError : shapes that do not fit, NaN, `k` below 1.

    References
    ----------
    humpback-whale-identification, whale-categorization-playground and hotel-id-2021-fgvc8, with `k` 5.
    """
    rank = _true_rank(truth, predictions, k)
    return mean_or_nan(np.where(rank <= k, 1 / rank, 0.0))


def _auc(labels: np.ndarray, scores: np.ndarray) -> float:
    if labels.all() or not labels.any():
        return float("nan")
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(labels, scores))


def _true_rank(truth: np.ndarray, predictions: np.ndarray | Top, k: int) -> np.ndarray:
    """Place of the true class in its row, from 1: what a stable sort gives, without sorting."""
    if k < 1:
        raise ValueError(f"k is {k}, and the first place is 1")
    if isinstance(predictions, Top):
        check_truth(truth, predictions)
        if k > predictions.codes.shape[1]:
            raise ValueError(f"k is {k}, and {predictions.codes.shape[1]} classes are kept of each row")
        return predictions.rank(truth)
    check_class_rows(truth, predictions)
    own = np.take_along_axis(predictions, truth[:, None].astype(np.intp), axis=1)
    earlier = np.arange(predictions.shape[1]) < truth[:, None]
    return 1 + ((predictions > own) | ((predictions == own) & earlier)).sum(axis=1)
