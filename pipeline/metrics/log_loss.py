"""Logarithmic losses of probabilities."""

from collections.abc import Sequence

import numpy as np

from pipeline.frame.top import Top
from pipeline.metrics.arrays import (
    check_class_rows,
    check_probabilities,
    check_truth,
    label_columns,
    mean_or_nan,
)

KAGGLE_EPS = 1e-15
"""Kaggle keeps every probability this far from 0 and 1."""


def log_loss(
    truth: np.ndarray, predictions: np.ndarray | Top, *, eps: float = KAGGLE_EPS, rescale: bool = True
) -> float:
    """Mean of minus the logarithm of the true class's probability.

    Parameters
    ----------
    truth : int (N,) class indices.
    predictions : float (N, C), not negative.
    eps : probabilities are kept between `eps` and 1 - `eps`. With 0, a true class that got the probability 0
        makes the loss infinite.
    rescale : divide every row by its sum first, as Kaggle does; otherwise rows are taken as they are and must
        lie between 0 and 1.

    Returns
    -------
    0 (best) to infinity; NaN without rows.

    Raises
    ------
    ValueError : shapes that do not fit, NaN, negative numbers, a row without any probability.

    References
    ----------
    dog-breed-identification, leaf-classification and most other Kaggle pages: "each row is divided by the row
    sum", then ``max(min(p, 1 - 1e-15), 1e-15)``.
    """
    if isinstance(predictions, Top):  # whose rows sum to 1
        check_truth(truth, predictions)
        return mean_or_nan(_surprise(predictions.given(truth), eps))
    check_class_rows(truth, predictions)
    if rescale:
        predictions = _rescaled(predictions)
    check_probabilities(predictions)
    return mean_or_nan(_surprise(predictions[np.arange(len(truth)), truth.astype(np.intp)], eps))


def mean_column_log_loss(truth: np.ndarray, predictions: np.ndarray, *, eps: float = KAGGLE_EPS) -> float:
    """Binary log loss of each column, averaged over rows and columns.

    Parameters
    ----------
    truth : 0 and 1 (N, C), or class indices (N,).
    predictions : float (N, C) from 0 to 1.
    eps : as for `log_loss`.

    Returns
    -------
    0 (best) to infinity; NaN without rows.

    Raises
    ------
    ValueError : shapes that do not fit, NaN, numbers outside 0 to 1, labels other than 0 and 1.
    """
    return mean_or_nan(_binary_losses(label_columns(truth, predictions), predictions, eps))


def weighted_log_loss(
    truth: np.ndarray,
    predictions: np.ndarray,
    *,
    positive: Sequence[float],
    negative: Sequence[float],
    eps: float = KAGGLE_EPS,
) -> float:
    """Binary log losses in a weighted mean over the labels of each row, then in a plain mean over rows.

    Parameters
    ----------
    truth : 0 and 1 (N, C).
    predictions : float (N, C) from 0 to 1.
    positive, negative : C weights each, above 0: what a label counts where it is 1 and where it is 0. In
        rsna-2022-cervical-spine-fracture-detection, the vertebrae have 2 and 1, and patient_overall 14 and 7;
        in rsna-intracranial-hemorrhage-detection, the kinds have 1 and 1, and "any" 2 and 2.
    eps : as for `log_loss`.

    Returns
    -------
    0 (best) to infinity; NaN without rows.

    Raises
    ------
    ValueError : shapes that do not fit, NaN, numbers outside 0 to 1, labels other than 0 and 1, weights of
        another number or not above 0.

    References
    ----------
    rsna-2022-cervical-spine-fracture-detection, discussions 340392 (weights) and 341854 (their sum in a row).
    """
    labels = label_columns(truth, predictions)
    weight_of = np.array([negative, positive], dtype=np.float64)
    if weight_of.shape != (2, predictions.shape[1]) or not (weight_of > 0).all():
        raise ValueError(f"{predictions.shape[1]} labels need as many weights above 0 for 1 and for 0")
    weights = np.where(labels, weight_of[1], weight_of[0])
    losses = _binary_losses(labels, predictions, eps) * weights
    return mean_or_nan(losses.sum(axis=1) / weights.sum(axis=1))


def _rescaled(predictions: np.ndarray) -> np.ndarray:
    """Rows divided by their sums."""
    if predictions.size and predictions.min() < 0:
        raise ValueError(
            f"probabilities are not negative, and the smallest prediction is {predictions.min():g}"
        )
    sums = predictions.sum(axis=1, keepdims=True)
    if not ((sums > 0) & np.isfinite(sums)).all():
        raise ValueError("a row of predictions that sums to 0 or infinity cannot be rescaled to sum to 1")
    return predictions / sums


def _binary_losses(labels: np.ndarray, predictions: np.ndarray, eps: float) -> np.ndarray:
    """Loss of every single label, (N, C)."""
    check_probabilities(predictions)
    return _surprise(np.where(labels, predictions, 1 - predictions), eps)


def _surprise(probabilities: np.ndarray, eps: float) -> np.ndarray:
    """Minus the logarithm of what was given to what is true."""
    with np.errstate(divide="ignore"):  # the logarithm of 0 is the infinite loss that eps=0 asks for
        return -np.log(np.clip(probabilities, eps, 1 - eps))
