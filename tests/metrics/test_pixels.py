"""Masks by their pixel counts, against counts pixel by pixel."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from pipeline.metrics.pixels import (
    class_iou,
    global_f,
    mean_dice,
    mean_iou,
    mean_mask_precision,
    pixel_accuracy,
)

steady = settings(derandomize=True, deadline=None)  # the first call imports scikit-learn

seeds = st.integers(0, 2**32 - 1)
CLASSES = 4


def maps(seed: int, images: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """True and predicted class maps (N, 4, 5) in which some classes are missing."""
    random = np.random.default_rng(seed)
    present = random.choice(CLASSES, random.integers(1, CLASSES + 1), replace=False)
    return random.choice(present, (images, 4, 5)), random.choice(present, (images, 4, 5))


def count(truth: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """int64 (N, C, 3) of class maps, one pixel at a time."""
    counts = np.zeros((len(truth), CLASSES, 3), dtype=np.int64)
    for image, pairs in enumerate(zip(truth, predictions, strict=True)):
        for true, predicted in zip(*(part.ravel() for part in pairs), strict=True):
            if true == predicted:
                counts[image, true, 0] += 1
            else:
                counts[image, predicted, 1] += 1
                counts[image, true, 2] += 1
    return counts


@steady
@given(seeds)
def test_scores_over_all_pixels_equal_scikit_learn(seed: int):
    truth, predictions = maps(seed)
    counts, flat = count(truth, predictions), (truth.ravel(), predictions.ravel())
    present = np.unique(np.concatenate(flat))
    iou = np.full(CLASSES, np.nan)
    iou[present] = [sk.jaccard_score(flat[0] == label, flat[1] == label) for label in present]
    np.testing.assert_allclose(class_iou(counts), iou)
    expected = sk.jaccard_score(*flat, average="macro") if present.any() else np.nan
    assert mean_iou(counts) == pytest.approx(expected, nan_ok=True)
    assert pixel_accuracy(counts) == pytest.approx((truth == predictions).mean())
    for beta in (0.5, 1.0, 2.0):
        if present.any():
            found = sk.fbeta_score(*flat, beta=beta, labels=[1, 2, 3], average="micro")
            assert global_f(counts, beta=beta, background=False) == pytest.approx(found)


@steady
@given(seeds)
def test_mean_dice_equals_a_loop_over_masks(seed: int):
    truth, predictions = maps(seed)
    dice = []
    for image in range(len(truth)):
        for label in range(CLASSES):
            true, found = truth[image] == label, predictions[image] == label
            size = true.sum() + found.sum()
            dice.append(2 * (true & found).sum() / size if size else 1)
    counts = count(truth, predictions)
    assert mean_dice(counts) == pytest.approx(np.mean(dice))
    foreground = np.reshape(dice, (-1, CLASSES))[:, 1:]
    assert mean_dice(counts, background=False) == pytest.approx(foreground.mean())


@steady
@given(seeds)
def test_mask_precision_equals_a_loop_over_thresholds(seed: int):
    truth, predictions = maps(seed)
    scores = []
    for image in range(len(truth)):
        true, found = truth[image] == 1, predictions[image] == 1
        union = (true | found).sum()
        # Whole numbers, so that an intersection over union equal to a threshold is seen to be.
        above = [20 * (true & found).sum() > k * union for k in range(10, 20)]
        scores.append(np.mean(above) if union else 1)
    counts = count(truth, predictions)[:, 1:2]
    assert mean_mask_precision(counts) == pytest.approx(np.mean(scores))


@pytest.mark.parametrize("hundredths", range(50, 100, 5))
def test_an_overlap_equal_to_a_threshold_is_no_hit(hundredths: int):
    counts = np.array([[[hundredths, 100 - hundredths, 0]]])
    assert mean_mask_precision(counts) == pytest.approx((hundredths - 50) / 50)


def test_nothing_there_and_nothing_found():
    empty = np.zeros((2, 2, 3), dtype=np.int64)
    assert mean_dice(empty) == mean_mask_precision(empty) == 1
    for score in (mean_iou, pixel_accuracy, global_f):
        assert np.isnan(score(empty))
    assert np.isnan(mean_dice(empty[:, :1], background=False))


@pytest.mark.parametrize("place", [1, 2])
def test_one_of_the_two_empty_is_wrong(place: int):
    counts = np.zeros((1, 1, 3), dtype=np.int64)
    counts[..., place] = 5
    assert mean_dice(counts) == mean_mask_precision(counts) == global_f(counts) == mean_iou(counts) == 0


def test_nothing_but_background_that_is_found_is_no_perfect_score():
    counts = np.array([[[20, 0, 0], [0, 0, 0]]])
    assert np.isnan(mean_iou(counts)) and mean_iou(counts[:, :1]) == 1
    counts[0, :, 1:] = [[0, 1], [1, 0]]
    assert mean_iou(counts) == pytest.approx(10 / 21)


def test_a_class_in_neither_is_left_out_and_global_is_not_mean():
    counts = np.array([[[10, 0, 0], [0, 0, 0]], [[1, 9, 10], [0, 0, 0]]])
    assert mean_iou(counts) == pytest.approx(11 / 30)
    assert global_f(counts) == pytest.approx(22 / 41)
    assert mean_dice(counts) == pytest.approx((1 + 2 / 21 + 1 + 1) / 4)


@pytest.mark.parametrize(
    ("counts", "reason"),
    [
        (np.zeros((2, 3), dtype=int), "tp, fp, fn of each image and class"),
        (np.zeros((2, 3, 4), dtype=int), "tp, fp, fn of each image and class"),
        (np.zeros((2, 3, 3)), "whole"),
        (np.full((2, 3, 3), -1), "not negative"),
    ],
)
def test_what_are_no_counts_is_refused(counts: np.ndarray, reason: str):
    for score in (class_iou, mean_iou, pixel_accuracy, mean_dice, global_f, mean_mask_precision):
        with pytest.raises(ValueError, match=reason):
            score(counts)
