"""Counting pixels of masks that may overlap, of one rule or of many thresholds at once."""

from collections.abc import Sequence

import numpy as np

from pipeline.prediction.stored import LEVELS
from pipeline.tasks.mask_truth import IGNORE
from pipeline.tasks.overlapping_segmentation.rule import most_probable


def mask_counts(truth: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """True positive, false positive and false negative pixels of each class, int64 (C, 3).

    Parameters
    ----------
    truth : uint8 (H, W, C); pixels of 255 do not count.
    masks : bool (C, H, W).
    """
    planes = truth.transpose(2, 0, 1)
    if planes.shape != masks.shape:
        raise ValueError(f"the truth has the shape {planes.shape} and the prediction {masks.shape}")
    there, counted = planes == 1, planes != IGNORE
    parts = (there & masks, masks & counted & ~there, there & ~masks)
    return np.stack([part.sum(axis=(1, 2)) for part in parts], axis=1).astype(np.int64)


def counts_by_threshold(
    truth: np.ndarray, levels: np.ndarray, cuts: Sequence[int], exclusive: bool
) -> np.ndarray:
    """Of each class and least level: pixels found that are true, that are not, that there are, and pixels
    found in all, ignored ones too; int64 (C, T, 4).

    Parameters
    ----------
    truth : as for `mask_counts`.
    levels : uint8 (C, H, W).
    """
    if exclusive:
        levels = most_probable(levels)
    found = []
    for plane, level in zip(truth.transpose(2, 0, 1), levels, strict=True):
        kind = np.where(plane == IGNORE, 2, plane).astype(np.int64)
        table = np.bincount((kind * (LEVELS + 1) + level).ravel(), minlength=3 * (LEVELS + 1))
        # From the highest level down: how many pixels reach each.
        reach = table.reshape(3, -1)[:, ::-1].cumsum(axis=1)[:, ::-1]
        spurious, right, ignored = reach[:, list(cuts)]
        there = np.full(len(cuts), reach[1, 0])
        found.append(np.stack([right, spurious, there, right + spurious + ignored], axis=1))
    return np.stack(found)
