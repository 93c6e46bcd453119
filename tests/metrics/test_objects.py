"""Objects and points, against loops and scipy's best assignment."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from pipeline.metrics.objects import (
    matches,
    mean_f_over_thresholds,
    mean_precision_over_thresholds,
    pooled_f_over_thresholds,
)
from pipeline.metrics.points import point_f1, point_matches
from pipeline.metrics.thresholds import FROM_30_TO_80, FROM_50_TO_75, FROM_50_TO_95

steady = settings(derandomize=True, deadline=None)

seeds = st.integers(0, 2**32 - 1)
NOTHING = np.zeros((0, 0))
MEANS = (mean_f_over_thresholds, pooled_f_over_thresholds, mean_precision_over_thresholds)


def some_ious(seed: int) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.integers(0, 21, random.integers(0, 5, 2)) / 20 for _ in range(4)]


def slow_matches(iou: np.ndarray, threshold: float) -> tuple[int, int, int]:
    taken: set[int] = set()
    for row in iou:
        best = None
        for column, value in enumerate(row):
            if column not in taken and value > threshold and (best is None or value > row[best]):
                best = column
        if best is not None:
            taken.add(best)
    return len(taken), len(iou) - len(taken), iou.shape[1] - len(taken)


@steady
@given(seeds, st.sampled_from([0.0, 0.3, 0.5, 0.7, 0.95, 1.0]))
def test_pairs_equal_a_slow_search(seed: int, threshold: float):
    for iou in some_ious(seed):
        assert matches(iou, threshold) == slow_matches(iou, threshold)


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    union = (one | other).sum()
    return float((one & other).sum() / union) if union else 0.0


@steady
@given(seeds)
def test_masks_that_do_not_overlap_have_one_best_assignment(seed: int):
    """Above one half a mask has one partner at most, so that no order of scores can matter."""
    random = np.random.default_rng(seed)
    true, found = random.integers(0, 4, (2, 40))
    iou = np.array([[overlap(found == a, true == b) for b in range(4)] for a in range(4)])
    tp, fp, fn = matches(iou, 0.5)
    rows, columns = linear_sum_assignment(iou > 0.5, maximize=True)
    assert tp == (iou > 0.5)[rows, columns].sum()
    assert fp == fn == 4 - tp
    assert matches(iou[::-1], 0.5) == (tp, fp, fn)


def test_the_best_score_chooses_first_and_takes_its_best():
    assert matches(np.array([[0.6, 0.8], [0.1, 0.9]]), 0.5) == (1, 1, 1)
    assert matches(np.array([[0.1, 0.9], [0.6, 0.8]]), 0.5) == (2, 0, 0)


def test_an_overlap_equal_to_the_threshold_is_no_match():
    for threshold in FROM_50_TO_95:
        assert matches(np.array([[threshold]]), threshold) == (0, 1, 1)
        assert matches(np.array([[np.nextafter(threshold, 1)]]), threshold) == (1, 0, 0)
    assert matches(np.array([[0.0]]), 0) == (0, 1, 1)


def test_thresholds_are_the_decimals_of_the_pages():
    assert FROM_50_TO_95 == (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
    assert FROM_50_TO_75 == (0.5, 0.55, 0.6, 0.65, 0.7, 0.75)
    assert FROM_30_TO_80 == (0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8)


@steady
@given(seeds)
def test_means_equal_loops(seed: int):
    ious = some_ious(seed)

    def f2(tp: int, fp: int, fn: int) -> float:
        return 5 * tp / (5 * tp + 4 * fn + fp) if tp + fn + fp else float("nan")

    images = np.array([np.mean([f2(*slow_matches(iou, t)) for t in FROM_50_TO_95]) for iou in ious])
    expected = np.where(np.isnan(images), 1, images).mean()
    assert mean_f_over_thresholds(ious) == pytest.approx(expected)

    pooled = [f2(*np.sum([slow_matches(iou, t) for iou in ious], axis=0)) for t in FROM_30_TO_80]
    assert pooled_f_over_thresholds(ious) == pytest.approx(np.mean(pooled), nan_ok=True)

    ratios = []
    for iou in ious:
        counts = [slow_matches(iou, t) for t in FROM_50_TO_75]
        if sum(counts[0]):
            ratios.append(np.mean([tp / (tp + fp + fn) for tp, fp, fn in counts]))
    expected = np.mean(ratios) if ratios else float("nan")
    assert mean_precision_over_thresholds(ious) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("score", MEANS)
def test_all_found_scores_1_and_the_order_of_images_does_not_matter(score):
    assert score([np.eye(3), np.eye(1), np.eye(5)]) == 1
    ious = some_ious(5)
    assert score(ious) == pytest.approx(score(ious[::-1]))
    assert np.isnan(score([]))
    assert type(score(ious)) is float


def test_images_with_nothing_there():
    spurious, missed = np.zeros((2, 0)), np.zeros((0, 2))
    for score in MEANS:
        assert score([spurious]) == score([missed]) == 0
    assert mean_f_over_thresholds([NOTHING, missed]) == 0.5
    assert mean_precision_over_thresholds([NOTHING, np.eye(1), missed]) == 0.5
    assert mean_precision_over_thresholds([NOTHING, missed], both_empty=1) == 0.5
    assert pooled_f_over_thresholds([NOTHING, np.eye(1)]) == 1
    assert np.isnan(pooled_f_over_thresholds([NOTHING]))


@pytest.mark.parametrize("iou", [np.zeros(3), np.array([[1.5]]), np.array([[np.nan]]), np.array([[-0.1]])])
def test_what_is_no_overlap_is_refused(iou: np.ndarray):
    with pytest.raises(ValueError, match=r"\(P, G\) from 0 to 1"):
        matches(iou, 0.5)


def points(*rows: tuple[float, float]) -> np.ndarray:
    return np.array(rows, dtype=np.float64).reshape(-1, 2)


def test_the_example_of_kuzushiji():
    """The page: the truth ``U+003F 1 1 10 10`` (left, top, width, height) accepts ``U+003F 3 3``."""
    box, label = np.array([[1, 1, 11, 11]]), np.array(["U+003F"])
    assert point_matches(points((3, 3)), label, box, label) == (1, 0, 0)
    assert point_matches(points((3, 3)), np.array(["U+304A"]), box, label) == (0, 1, 1)
    assert point_matches(points((1, 3)), label, box, label) == (0, 1, 1)
    assert point_matches(points((3, 3), (4, 4)), label.repeat(2), box, label) == (1, 1, 0)


def test_pages_without_characters_or_points():
    boxes, labels = np.zeros((0, 4)), np.zeros(0, dtype="<U6")
    assert point_matches(points(), labels, boxes, labels) == (0, 0, 0)
    assert point_matches(points((1, 1)), np.array(["a"]), boxes, labels) == (0, 1, 0)
    assert point_matches(points(), labels, np.array([[0, 0, 9, 9]]), np.array(["a"])) == (0, 0, 1)


@steady
@given(seeds)
def test_points_in_boxes_that_do_not_overlap_are_counted_box_by_box(seed: int):
    random = np.random.default_rng(seed)
    boxes = np.array([[x, 0, x + 10, 10] for x in range(0, 50, 10)])
    labels, found = random.integers(0, 2, 5), random.integers(0, 2, 12)
    xy = np.stack([random.integers(0, 50, 12), random.integers(-2, 12, 12)], axis=1)
    hit = 0
    for box, label in zip(boxes, labels, strict=True):
        inside = [box[0] < x < box[2] and box[1] < y < box[3] for x, y in xy]
        hit += any(i and f == label for i, f in zip(inside, found, strict=True))
    assert point_matches(xy, found, boxes, labels) == (hit, 12 - hit, 5 - hit)


def test_a_point_in_two_boxes_finds_one_of_them():
    boxes, labels = np.array([[0, 0, 9, 9], [1, 1, 8, 8]]), np.array(["a", "a"])
    assert point_matches(points((5, 5)), labels[:1], boxes, labels) == (1, 0, 1)
    assert point_matches(points((5, 5), (5, 5)), labels, boxes, labels) == (2, 0, 0)


def test_points_of_all_pages_are_pooled():
    assert point_f1([(3, 1, 0), (0, 0, 2)]) == pytest.approx(6 / 9)
    assert point_f1([(0, 0, 0)]) == point_f1([(0, 2, 0)]) == 0
    assert np.isnan(point_f1([]))


def test_points_without_a_label_each_are_refused():
    box, label = np.array([[0, 0, 9, 9]]), np.array(["a"])
    with pytest.raises(ValueError, match="need a label each"):
        point_matches(points((1, 1), (2, 2)), label, box, label)
    with pytest.raises(ValueError, match="without NaN"):
        point_matches(points((1, np.nan)), label, box, label)
