"""ROC curves and places in a row, against scikit-learn and against loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from pipeline.metrics.ranking import map_at_k, mean_column_auc, roc_auc, top_k_error, weighted_auc

steady = settings(derandomize=True, deadline=None)  # the first call imports scikit-learn

rows_of_scores = st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=40)


def binary(rows: list[tuple[bool, int]]) -> tuple[np.ndarray, np.ndarray]:
    truth, scores = np.array(rows, dtype=np.int64).T
    return truth, np.stack([-scores, scores], axis=1) / 5


def auc_by_hand(truth: np.ndarray, scores: np.ndarray) -> float:
    """Share of the pairs in the right order; ties are half right."""
    high, low = scores[truth == 1][:, None], scores[truth == 0]
    return float(((high > low) + 0.5 * (high == low)).mean()) if high.size and low.size else float("nan")


@steady
@given(rows_of_scores)
def test_auc_is_the_share_of_pairs_in_order(rows: list[tuple[bool, int]]):
    truth, predictions = binary(rows)
    expected = auc_by_hand(truth, predictions[:, 1])
    assert roc_auc(truth, predictions) == pytest.approx(expected, nan_ok=True)
    assert roc_auc(truth, predictions, positive=0) == pytest.approx(expected, nan_ok=True)
    assert roc_auc(truth[:, None], predictions[:, 1:]) == pytest.approx(expected, nan_ok=True)
    assert roc_auc(truth, predictions[:, 1:]) == pytest.approx(expected, nan_ok=True)


def test_one_class_is_compared_with_all_others():
    random = np.random.default_rng(0)
    truth, predictions = random.integers(0, 3, 30), random.random((30, 3))
    for positive in range(3):
        expected = sk.roc_auc_score(truth == positive, predictions[:, positive])
        assert roc_auc(truth, predictions, positive=positive) == pytest.approx(expected)
    with pytest.raises(ValueError, match="class 3 is none of the 3 columns"):
        roc_auc(truth, predictions, positive=3)


def test_columns_are_averaged():
    random = np.random.default_rng(0)
    truth, predictions = random.integers(0, 4, 60), random.random((60, 4))
    expected = sk.roc_auc_score(np.eye(4)[truth], predictions, average="macro")
    assert mean_column_auc(truth, predictions) == pytest.approx(expected)
    assert mean_column_auc(np.eye(4)[truth], predictions) == pytest.approx(expected)


def test_a_column_of_one_kind_is_undefined_and_can_be_skipped():
    truth = np.array([[0, 1, 0], [1, 1, 0], [0, 1, 0]])
    predictions = np.array([[0.2, 0.5, 0.5], [0.3, 0.5, 0.5], [0.4, 0.5, 0.5]])
    assert np.isnan(mean_column_auc(truth, predictions))
    assert mean_column_auc(truth, predictions, skip_undefined=True) == 0.5
    assert np.isnan(mean_column_auc(truth[:, 1:], predictions[:, 1:], skip_undefined=True))


def weighted_by_hand(truth: np.ndarray, scores: np.ndarray) -> float:
    """Walk up the curve in small steps of the true positive rate: the area right of the curve, weighted."""
    thresholds = np.concatenate([[np.inf], np.unique(scores)[::-1]])
    tpr = np.array([(scores[truth == 1] >= t).mean() for t in thresholds])
    fpr = np.array([(scores[truth == 0] >= t).mean() for t in thresholds])
    total, steps = 0.0, 20_000
    for height in (np.arange(steps) + 0.5) / steps:
        above = int(np.argmax(tpr >= height))
        part = (height - tpr[above - 1]) / (tpr[above] - tpr[above - 1])
        x = fpr[above - 1] + part * (fpr[above] - fpr[above - 1])
        total += (2 if height < 0.4 else 1) * (1 - x) / steps
    return total / 1.4


@pytest.mark.parametrize("values", [3, 8, 1000])
def test_weighted_auc_equals_a_walk_up_the_curve(values: int):
    random = np.random.default_rng(values)
    truth = random.integers(0, 2, 60)
    scores = random.integers(0, values, 60) + truth * values // 3
    predictions = np.stack([-scores, scores], axis=1).astype(float)
    expected = weighted_by_hand(truth, scores)
    assert weighted_auc(truth, predictions) == pytest.approx(expected, abs=2e-4)
    assert weighted_auc(truth, predictions, weights=(1, 1)) == pytest.approx(roc_auc(truth, predictions))


@steady
@given(rows_of_scores)
def test_weighted_auc_with_equal_weights_is_the_auc(rows: list[tuple[bool, int]]):
    truth, predictions = binary(rows)
    score = weighted_auc(truth, predictions, weights=(3, 3))
    assert score == pytest.approx(roc_auc(truth, predictions), nan_ok=True)


def test_weighted_auc_of_the_extremes():
    truth = np.array([0, 0, 1, 1, 1])
    scores = np.array([[0.1], [0.2], [0.7], [0.8], [0.9]])
    assert weighted_auc(truth, scores) == 1
    assert weighted_auc(truth, -scores) == 0
    # On the diagonal, each slice has a triangle or a trapezium: (2 * 0.32 + 0.18) / 1.4.
    assert weighted_auc(truth, scores * 0) == pytest.approx((2 * 0.32 + 0.18) / 1.4)
    assert np.isnan(weighted_auc(np.ones(5, dtype=int), scores))


@steady
@given(st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_places_are_those_of_a_stable_sort(k: int, seed: int):
    random = np.random.default_rng(seed)
    truth, predictions = random.integers(0, 6, 15), random.integers(0, 4, (15, 6)) / 4
    submitted = np.argsort(-predictions, axis=1, kind="stable")[:, :k]
    hits = submitted == truth[:, None]
    expected = [sum(hit / place for place, hit in enumerate(row, 1)) for row in hits]
    assert map_at_k(truth, predictions, k=k) == pytest.approx(np.mean(expected))
    assert top_k_error(truth, predictions, k=k) == pytest.approx(1 - hits.any(axis=1).mean())


def test_places_equal_scikit_learn():
    random = np.random.default_rng(3)
    truth, predictions = random.integers(0, 6, 50), random.random((50, 6))
    accuracy = sk.top_k_accuracy_score(truth, predictions, k=2, labels=range(6))
    assert top_k_error(truth, predictions, k=2) == pytest.approx(1 - accuracy)
    reciprocal = sk.label_ranking_average_precision_score(np.eye(6)[truth], predictions)
    assert map_at_k(truth, predictions, k=6) == pytest.approx(reciprocal)


def test_the_first_place_is_1():
    with pytest.raises(ValueError, match="k is 0"):
        map_at_k(np.array([0]), np.array([[1.0]]), k=0)
