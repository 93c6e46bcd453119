"""Scores of masks, against a count pixel by pixel."""

import numpy as np
import pytest

from pipeline.tasks.segmentation.confusion import Confusion


def slow_iou(truth: np.ndarray, predicted: np.ndarray, count: int) -> list[float]:
    pairs = [(t, p) for t, p in zip(truth.ravel(), predicted.ravel(), strict=True) if t != 255]
    result = []
    for value in range(count):
        both = sum(t == value and p == value for t, p in pairs)
        either = sum(t == value or p == value for t, p in pairs)
        result.append(both / either if either else float("nan"))
    return result


def test_scores_equal_a_slow_count_and_images_add_up():
    random = np.random.default_rng(0)
    truth = random.choice([0, 1, 2, 4, 255], (6, 5, 7)).astype(np.uint8)
    predicted = random.choice([0, 1, 2], (6, 5, 7))
    whole, parts = Confusion(6), Confusion(6)
    whole.add(truth, predicted)
    for one, other in zip(truth, predicted, strict=True):
        parts.add(one, other)
    assert np.array_equal(whole.counts, parts.counts)
    assert whole.counts.dtype == np.int64
    expected = slow_iou(truth, predicted, 6)
    np.testing.assert_allclose(whole.iou, expected)
    assert np.isnan(whole.iou[[3, 5]]).all()  # in neither; 4 is in the truth alone and counts as 0
    assert whole.iou[4] == 0
    assert whole.mean_iou == pytest.approx(np.nanmean(expected))
    valid = truth != 255
    assert whole.pixel_accuracy == pytest.approx((truth == predicted)[valid].mean())


def test_ignored_pixels_may_be_predicted_as_anything():
    confusion = Confusion(2)
    confusion.add(np.array([[0, 255]]), np.array([[0, 9]]))
    assert confusion.mean_iou == confusion.pixel_accuracy == 1


def test_nothing_counted_has_no_score():
    confusion = Confusion(2)
    confusion.add(np.full((2, 2), 255), np.zeros((2, 2), dtype=int))
    assert np.isnan(confusion.mean_iou) and np.isnan(confusion.pixel_accuracy)


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
        Confusion(2).add(np.array(truth), np.array(predicted))
