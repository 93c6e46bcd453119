"""Scores of objects found, boxes or masks, from their intersections over union.

All but `matches` take one matrix an image, float (P, G): the intersection over union of each of P predicted
objects, in descending order of their scores, with each of G true ones. Either may be 0.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from pipeline.metrics.arrays import defined_mean
from pipeline.metrics.f_score import f_of_counts
from pipeline.metrics.thresholds import FROM_30_TO_80, FROM_50_TO_75, FROM_50_TO_95


def matches(iou: np.ndarray, threshold: float) -> tuple[int, int, int]:
    """Pair predicted with true objects of an image and count.

    Each prediction in turn takes the true object of the largest intersection over union that is still free,
    if it is above the threshold (equal is not enough); of equal ones, the first.

    Parameters
    ----------
    iou : float (P, G) from 0 to 1; predictions in descending order of their scores.
    threshold : from 0.

    Returns
    -------
    True positives, false positives (predictions without a true object), false negatives (the reverse).

    Raises
    ------
    ValueError : another shape, NaN, numbers outside 0 to 1.
    """
    # Written so that NaN fails too.
    if iou.ndim != 2 or not ((iou >= 0) & (iou <= 1)).all():
        raise ValueError(f"intersections over union are (P, G) from 0 to 1, unlike these of {iou.shape}")
    predicted, true = iou.shape
    free = np.where(iou > threshold, iou, -1.0)
    found = 0
    for row in np.flatnonzero((free > 0).any(axis=1)):
        best = free[row].argmax()
        if free[row, best] > 0:
            found += 1
            free[:, best] = -1.0
    return found, predicted - found, true - found


def mean_f_over_thresholds(
    ious: Iterable[np.ndarray],
    *,
    beta: float = 2.0,
    thresholds: Sequence[float] = FROM_50_TO_95,
    both_empty: float = 1.0,
) -> float:
    """Mean over thresholds of each image's F-beta, then over images.

    Parameters
    ----------
    ious : float (P, G) of each image, see the module.
    beta : how many times recall counts what precision counts.
    thresholds : see `matches`.
    both_empty : score of an image with nothing there and nothing found; with NaN it is left out of the mean.

    Returns
    -------
    0 to 1; NaN without images.

    Raises
    ------
    ValueError : a matrix of another shape, NaN, numbers outside 0 to 1.

    References
    ----------
    airbus-ship-detection, Evaluation; a submission without ships scored the share of images without ships, so
    they count 1.
    """
    scores = [f_of_counts(*_counts(iou, thresholds), beta=beta).mean() for iou in ious]
    return _mean_over_images(scores, both_empty)


def pooled_f_over_thresholds(
    ious: Iterable[np.ndarray], *, beta: float = 2.0, thresholds: Sequence[float] = FROM_30_TO_80
) -> float:
    """Mean over thresholds of the F-beta of the objects of all images together.

    Parameters
    ----------
    ious : float (P, G) of each image, see the module.
    beta : how many times recall counts what precision counts.
    thresholds : see `matches`.

    Returns
    -------
    0 to 1; NaN where no image has a true or predicted object.

    Raises
    ------
    ValueError : a matrix of another shape, NaN, numbers outside 0 to 1.

    References
    ----------
    tensorflow-great-barrier-reef, Evaluation.
    """
    total = np.zeros((3, len(thresholds)), dtype=np.int64)
    for iou in ious:
        total += _counts(iou, thresholds)
    return float(f_of_counts(*total, beta=beta).mean())


def mean_precision_over_thresholds(
    ious: Iterable[np.ndarray],
    *,
    thresholds: Sequence[float] = FROM_50_TO_75,
    both_empty: float = float("nan"),
) -> float:
    """Mean over thresholds of each image's ``TP / (TP + FP + FN)``, then over images.

    Parameters
    ----------
    ious : float (P, G) of each image, see the module.
    thresholds : see `matches`.
    both_empty : score of an image with nothing there and nothing found; with NaN it is left out of the mean.

    Returns
    -------
    0 to 1; NaN without images.

    Raises
    ------
    ValueError : a matrix of another shape, NaN, numbers outside 0 to 1.

    References
    ----------
    global-wheat-detection, Evaluation: predictions on an image without objects score 0; it does not say what
    none score. data-science-bowl-2018 is the same with thresholds from 0.5 to 0.95.
    """
    scores = []
    for iou in ious:
        tp, fp, fn = _counts(iou, thresholds)
        scores.append((tp / (tp + fp + fn)).mean() if iou.shape != (0, 0) else np.nan)
    return _mean_over_images(scores, both_empty)


def _counts(iou: np.ndarray, thresholds: Sequence[float]) -> np.ndarray:
    """int64 (3, T): true positives, false positives and false negatives at each threshold."""
    return np.array([matches(iou, threshold) for threshold in thresholds], dtype=np.int64).T


def _mean_over_images(scores: Sequence[float], both_empty: float) -> float:
    values = np.array(scores, dtype=np.float64)
    return defined_mean(np.where(np.isnan(values), both_empty, values))
