"""F scores, against scikit-learn and the code of rsna-breast-cancer-detection's page."""

from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import fbeta_score

from pipeline.metrics.f_score import Average, f_beta, f_of_counts, probabilistic_f

steady = settings(derandomize=True, deadline=None)  # the first call imports scikit-learn

seeds = st.integers(0, 2**32 - 1)
betas = st.sampled_from([0.5, 1.0, 2.0])


def test_counts():
    scores = f_of_counts(np.array([3, 0, 0]), np.array([1, 1, 0]), np.array([2, 0, 0]))
    np.testing.assert_allclose(scores, [6 / 9, 0, np.nan])
    assert f_of_counts(np.array(3), np.array(1), np.array(2), 2) == pytest.approx(15 / (15 + 1 + 8))
    small = np.array(200, dtype=np.uint8)
    assert f_of_counts(small, small, small, 1) == 0.5


@steady
@given(seeds, betas, st.sampled_from(["micro", "macro"]))
def test_f_of_classes_equals_scikit_learn(seed: int, beta: float, average: str):
    random = np.random.default_rng(seed)
    truth, predictions = random.integers(3, 9, 12), random.integers(3, 9, 12)
    expected = fbeta_score(truth, predictions, beta=beta, average=average)
    assert f_beta(truth, predictions, beta=beta, average=cast(Average, average)) == pytest.approx(expected)


@steady
@given(seeds, betas, st.sampled_from(["micro", "macro", "samples"]), st.integers(2, 5))
def test_f_of_labels_equals_scikit_learn(seed: int, beta: float, average: str, count: int):
    random = np.random.default_rng(seed)
    truth, predictions = random.random((2, 8, count)) < 0.3
    undefined = cast(str, np.nan)  # scikit-learn's types know "warn" alone
    expected = fbeta_score(truth, predictions, beta=beta, average=average, zero_division=undefined)
    score = f_beta(truth, predictions, beta=beta, average=cast(Average, average))
    assert score == pytest.approx(expected, nan_ok=True)


def test_a_single_label_is_not_taken_for_two_classes():
    truth = np.array([[True], [False], [False], [False]])
    predictions = np.array([[True], [True], [False], [False]])
    assert f_beta(truth, predictions) == f_beta(truth, predictions, average="macro") == pytest.approx(2 / 3)


def test_micro_f_of_classes_is_the_accuracy():
    truth, predictions = np.array([0, 1, 2, 2]), np.array([0, 2, 2, 2])
    assert f_beta(truth, predictions) == 0.75


def test_what_is_neither_there_nor_found_has_no_score():
    truth = np.array([[True, False], [False, False]])
    assert f_beta(truth, truth, average="macro") == f_beta(truth, truth, average="samples") == 1
    assert np.isnan(f_beta(truth & False, truth & False))


def test_rows_of_one_class_have_no_mean_over_samples():
    with pytest.raises(ValueError, match="several labels"):
        f_beta(np.array([0, 1]), np.array([0, 1]), average="samples")


def pf_by_hand(labels: np.ndarray, predictions: np.ndarray, beta: float) -> float:
    """Precision and recall first, then their weighted harmonic mean."""
    pairs = [(bool(label), min(max(p, 0), 1)) for label, p in zip(labels, predictions, strict=True)]
    tp = sum(p for label, p in pairs if label)
    fp = sum(p for label, p in pairs if not label)
    if not tp:
        return 0.0
    precision, recall = tp / (tp + fp), tp / sum(label for label, _ in pairs)
    return (1 + beta**2) * precision * recall / (beta**2 * precision + recall)


@steady
@given(seeds, betas)
def test_probabilistic_f_equals_precision_and_recall(seed: int, beta: float):
    random = np.random.default_rng(seed)
    truth = np.append(random.integers(0, 2, 10), 1)
    scores = random.uniform(-0.2, 1.2, 11)
    predictions = np.stack([1 - scores, scores], axis=1)
    expected = pf_by_hand(truth, scores, beta)
    assert probabilistic_f(truth, predictions, beta=beta) == pytest.approx(expected)
    assert probabilistic_f(truth[:, None], scores[:, None], beta=beta) == pytest.approx(expected)


def test_probabilistic_f_of_sure_predictions_is_the_plain_one():
    random = np.random.default_rng(0)
    truth, decided = random.integers(0, 2, 30), random.integers(0, 2, 30)
    assert probabilistic_f(truth, np.eye(2)[decided]) == pytest.approx(fbeta_score(truth, decided, beta=1))


def test_probabilistic_f_without_positives_or_without_probability():
    zeros = np.zeros((3, 1))
    assert np.isnan(probabilistic_f(np.zeros(3, dtype=int), zeros + 0.5))
    assert probabilistic_f(np.array([0, 1, 1]), zeros) == 0
