"""Scores of masks, from their pixel counts.

All take one array, int (N, C, 3): the true positive, false positive and false negative pixels of each image
and class. Counts have two readings: "global" scores add them up over images first, and "mean" scores are a
mean over images.
"""

from collections.abc import Sequence

import numpy as np

from pipeline.metrics.arrays import defined_mean, mean_or_nan
from pipeline.metrics.f_score import f_of_counts
from pipeline.metrics.thresholds import FROM_50_TO_95


def class_iou(counts: np.ndarray) -> np.ndarray:
    """Intersection over union of each class, over the pixels of all images.

    Parameters
    ----------
    counts : int (N, C, 3), see the module.

    Returns
    -------
    float64 (C,), 0 to 1; NaN where neither truth nor predictions have the class.

    Raises
    ------
    ValueError : another shape, counts that are negative or not whole.
    """
    _check(counts)
    return _iou(counts.sum(axis=0))


def mean_iou(counts: np.ndarray) -> float:
    """Mean of `class_iou` over the classes that truth or predictions have, as PASCAL VOC and Cityscapes do.

    Parameters
    ----------
    counts : int (N, C, 3), see the module.

    Returns
    -------
    0 to 1; NaN without pixels, and of several classes where all is the first one and found to be: a perfect
    score of nothing.

    Raises
    ------
    ValueError : another shape, counts that are negative or not whole.
    """
    iou = class_iou(counts)
    nothing = len(iou) > 1 and iou[0] == 1 and bool(np.isnan(iou[1:]).all())
    return float("nan") if nothing else defined_mean(iou)


def pixel_accuracy(counts: np.ndarray) -> float:
    """Share of the pixels that got their own class, where classes exclude one another.

    Parameters
    ----------
    counts : int (N, C, 3), see the module, with a class for every pixel. (Of masks that may overlap, this is
        the recall.)

    Returns
    -------
    0 to 1; NaN without pixels.

    Raises
    ------
    ValueError : another shape, counts that are negative or not whole.
    """
    _check(counts)
    tp, _, fn = counts.sum(axis=(0, 1)).tolist()
    return tp / (tp + fn) if tp + fn else float("nan")


def mean_dice(counts: np.ndarray, *, background: bool = True) -> float:
    """Mean over images and classes of the Dice coefficient, where "nothing there, nothing found" counts 1.

    Parameters
    ----------
    counts : int (N, C, 3), see the module.
    background : whether class 0 is graded.

    Returns
    -------
    0 to 1; NaN without images.

    Raises
    ------
    ValueError : another shape, counts that are negative or not whole.

    References
    ----------
    hubmap-kidney-segmentation, understanding-clouds-organization, severstal-steel-defect-detection.
    """
    dice = f_of_counts(*_graded(counts, background))
    return mean_or_nan(np.where(np.isnan(dice), 1.0, dice))


def global_f(counts: np.ndarray, *, beta: float = 1.0, background: bool = True) -> float:
    """F-beta over the pixels of all images and classes together; with `beta` 1, the global Dice coefficient.

    Parameters
    ----------
    counts : int (N, C, 3), see the module.
    beta : how many times recall counts what precision counts.
    background : whether class 0 is graded.

    Returns
    -------
    0 to 1; NaN where nothing was there and nothing was found in any image.

    Raises
    ------
    ValueError : another shape, counts that are negative or not whole.

    References
    ----------
    google-research-identify-contrails-reduce-global-warming (beta 1), vesuvius-challenge-ink-detection (0.5).
    """
    tp, fp, fn = (part.sum() for part in _graded(counts, background))
    return float(f_of_counts(tp, fp, fn, beta))


def mean_mask_precision(
    counts: np.ndarray, *, thresholds: Sequence[float] = FROM_50_TO_95, background: bool = True
) -> float:
    """Mean over images, classes and thresholds of whether the mask's intersection over union is above it.

    With one object to an image, that is the precision ``TP / (TP + FP + FN)`` of objects: 1 or 0. "Nothing
    there, nothing found" counts 1; a mask where nothing is, or none where something is, counts 0.

    Parameters
    ----------
    counts : int (N, C, 3), see the module.
    thresholds : from 0 to below 1; an intersection over union that equals one is not above it.
    background : whether class 0 is graded.

    Returns
    -------
    0 to 1; NaN without images.

    Raises
    ------
    ValueError : another shape, counts that are negative or not whole.

    References
    ----------
    tgs-salt-identification-challenge, Evaluation.
    """
    iou = _iou(np.stack(_graded(counts, background), axis=-1))
    hits = np.where(np.isnan(iou), 1.0, iou)[..., None] > np.asarray(thresholds)
    return mean_or_nan(hits)


def _graded(counts: np.ndarray, background: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True positives, false positives and false negatives, each (N, C), of the classes that are graded."""
    _check(counts)
    tp, fp, fn = np.moveaxis(counts if background else counts[:, 1:], -1, 0)
    return tp, fp, fn


def _iou(counts: np.ndarray) -> np.ndarray:
    """Intersection over union from counts (..., 3); NaN where the union is empty."""
    union = counts.sum(axis=-1)
    return np.divide(counts[..., 0], union, out=np.full(union.shape, np.nan), where=union > 0)


def _check(counts: np.ndarray) -> None:
    if counts.ndim != 3 or counts.shape[-1] != 3:
        raise ValueError(
            f"pixel counts are (N, C, 3): tp, fp, fn of each image and class; not {counts.shape}"
        )
    if counts.dtype.kind not in "iu" or (counts.size and counts.min() < 0):
        raise ValueError(f"pixel counts are whole and not negative, unlike these of {counts.dtype}")
