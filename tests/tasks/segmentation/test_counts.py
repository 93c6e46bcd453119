"""Counts of pixels, against a count pixel by pixel."""

import numpy as np
import pytest

from pipeline.metrics.pixels import class_iou, mean_iou, pixel_accuracy
from pipeline.tasks.segmentation.counts import pixel_counts, right_shares


def slow_counts(truth: np.ndarray, predicted: np.ndarray, classes: int) -> list[list[int]]:
    pairs = [(t, p) for t, p in zip(truth.ravel(), predicted.ravel(), strict=True) if t != 255]
    return [
        [
            sum(t == value and p == value for t, p in pairs),
            sum(t != value and p == value for t, p in pairs),
            sum(t == value and p != value for t, p in pairs),
        ]
        for value in range(classes)
    ]


@pytest.fixture
def masks() -> tuple[np.ndarray, np.ndarray]:
    """Six images of truth and prediction: classes 3 and 5 are in neither, 4 is in the truth alone."""
    random = np.random.default_rng(0)
    truth = random.choice([0, 1, 2, 4, 255], (6, 5, 7)).astype(np.uint8)
    return truth, random.choice([0, 1, 2], (6, 5, 7))


def test_counts_equal_a_slow_count_and_images_add_up(masks):
    truth, predicted = masks
    counts = pixel_counts(truth, predicted, 6)
    assert counts.dtype == np.int64 and counts.tolist() == slow_counts(truth, predicted, 6)
    parts = [pixel_counts(one, other, 6) for one, other in zip(truth, predicted, strict=True)]
    assert np.array_equal(np.sum(parts, axis=0), counts)


def test_the_scores_follow_from_the_counts(masks):
    truth, predicted = masks
    counts = np.stack([pixel_counts(one, other, 6) for one, other in zip(truth, predicted, strict=True)])
    valid = truth != 255
    ious = []
    for value in range(6):
        there, found = (truth == value) & valid, (predicted == value) & valid
        either = (there | found).sum()
        ious.append((there & found).sum() / either if either else np.nan)
    assert np.isnan(ious)[[3, 5]].all() and ious[4] == 0
    np.testing.assert_allclose(class_iou(counts), ious)
    assert mean_iou(counts) == pytest.approx(np.nanmean(ious))
    assert pixel_accuracy(counts) == pytest.approx((truth == predicted)[valid].mean())


def test_the_share_of_right_pixels_is_that_of_each_image(masks):
    truth, predicted = masks
    counts = np.stack([pixel_counts(one, other, 6) for one, other in zip(truth, predicted, strict=True)])
    expected = [(t == p)[t != 255].mean() for t, p in zip(truth, predicted, strict=True)]
    np.testing.assert_allclose(right_shares(counts), expected)


def test_ignored_pixels_may_be_predicted_as_anything():
    counts = pixel_counts(np.array([[0, 255]]), np.array([[0, 9]]), 2)
    assert counts.tolist() == [[1, 0, 0], [0, 0, 0]]


def test_nothing_counted_has_no_score():
    counts = pixel_counts(np.full((2, 2), 255), np.zeros((2, 2), dtype=int), 2)[None]
    assert not counts.any() and np.isnan(right_shares(counts)).all()
    assert np.isnan(mean_iou(counts)) and np.isnan(pixel_accuracy(counts))


@pytest.mark.parametrize(
    ("truth", "predicted", "reason"),
    [
        ([[0, 1]], [[0], [1]], "shape"),
        ([[0, 2]], [[0, 1]], "truth has indices from 0 to 2"),
        ([[0, 1]], [[0, -1]], "prediction has indices from -1"),
        ([[0, 1]], [[0, 2]], "prediction has indices from 0 to 2"),
    ],
)
def test_what_cannot_be_counted_is_refused(truth, predicted, reason):
    with pytest.raises(ValueError, match=reason):
        pixel_counts(np.array(truth), np.array(predicted), 2)
