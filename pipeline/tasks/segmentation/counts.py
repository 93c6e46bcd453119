"""Counting pixels by class, one image at a time: what every score of masks follows from."""

import numpy as np

from pipeline.tasks.segmentation.palette import IGNORE


def pixel_counts(truth: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """True positive, false positive and false negative pixels of each class, int64 (classes, 3).

    Parameters
    ----------
    truth, predicted : class indices of one shape. Pixels whose truth is 255 do not count.

    Raises
    ------
    ValueError : shapes that differ, or an index that is no class.
    """
    truth, predicted = np.asarray(truth), np.asarray(predicted)
    if truth.shape != predicted.shape:
        raise ValueError(f"the truth has the shape {truth.shape} and the prediction {predicted.shape}")
    valid = truth != IGNORE
    truth, predicted = truth[valid].astype(np.int64), predicted[valid].astype(np.int64)
    for name, indices in (("truth", truth), ("prediction", predicted)):
        if indices.size and not 0 <= indices.min() <= indices.max() < classes:
            raise ValueError(
                f"the {name} has indices from {indices.min()} to {indices.max()}, and there are {classes} "
                "classes"
            )
    right = np.bincount(truth[truth == predicted], minlength=classes)
    found, there = np.bincount(predicted, minlength=classes), np.bincount(truth, minlength=classes)
    return np.stack([right, found - right, there - right], axis=1)


def right_shares(counts: np.ndarray) -> np.ndarray:
    """Of counts (N, C, 3), the share of each image's pixels that got their own class; NaN without any."""
    right, missed = counts[..., 0].sum(axis=1), counts[..., 2].sum(axis=1)
    total = right + missed
    return np.divide(right, total, out=np.full(len(counts), np.nan), where=total > 0)
