"""Decisions: accuracy and kappa."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.metrics.classes import accuracy, quadratic_kappa

steady = settings(derandomize=True, deadline=None)  # the first call imports scikit-learn

pairs = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=30)


def kappa_by_hand(truth: np.ndarray, predictions: np.ndarray, count: int) -> float:
    """From the page of aptos2019: observed and expected histograms with weights (i - j)^2 / (n - 1)^2."""
    observed = expected = 0.0
    for i in range(count):
        for j in range(count):
            weight = (i - j) ** 2 / (count - 1) ** 2
            observed += weight * ((truth == i) & (predictions == j)).sum()
            expected += weight * (truth == i).sum() * (predictions == j).sum() / len(truth)
    return 1 - observed / expected if expected else float("nan")


def test_accuracy_of_classes_and_of_labels():
    assert accuracy(np.array([0, 1, 2, 2]), np.array([0, 2, 2, 2])) == 0.75
    truth = np.array([[True, False], [True, True]])
    assert accuracy(truth, np.array([[True, False], [True, False]])) == 0.5


@steady
@given(pairs)
def test_kappa_equals_the_definition(rows: list[tuple[int, int]]):
    truth, predictions = np.array(rows).T
    expected = kappa_by_hand(truth, predictions, 5)
    assert quadratic_kappa(truth, predictions) == pytest.approx(expected, nan_ok=True, abs=1e-12)


def test_classes_that_do_not_occur_keep_their_distance():
    truth, predictions = np.array([0, 0, 4, 4, 1, 1]), np.array([0, 4, 4, 4, 1, 0])
    assert quadratic_kappa(truth, predictions) == pytest.approx(kappa_by_hand(truth, predictions, 5))


def test_kappa_of_small_integer_types():
    ends = np.array([0, 255, 255], dtype=np.uint8)
    assert quadratic_kappa(ends, ends) == 1


def test_kappa_has_no_score_where_chance_is_always_right():
    ones = np.ones(3, dtype=int)
    assert np.isnan(quadratic_kappa(ones, ones))
    assert quadratic_kappa(ones, ones + 2) == 0


def test_what_are_no_decisions_is_refused():
    with pytest.raises(ValueError, match="whole"):
        accuracy(np.array([0, 1]), np.array([0.2, 0.8]))
    with pytest.raises(ValueError, match="bool"):
        accuracy(np.eye(2, dtype=bool), np.eye(2))
    with pytest.raises(ValueError, match="class indices"):
        quadratic_kappa(np.eye(2, dtype=bool), np.eye(2, dtype=bool))
