"""Logarithmic losses, against scikit-learn and against loops."""

import math

import numpy as np
import pytest
from sklearn import metrics as sk

from pipeline.metrics.log_loss import log_loss, mean_column_log_loss, weighted_log_loss

RANDOM = np.random.default_rng(0)
TRUTH = RANDOM.integers(0, 5, 50)
SHARES = RANDOM.dirichlet(np.ones(5), 50)
LABELS = (RANDOM.random((50, 8)) < 0.3).astype(np.int64)
PROBABILITIES = RANDOM.random((50, 8))


def test_log_loss_equals_scikit_learn():
    expected = sk.log_loss(TRUTH, SHARES, labels=range(5))
    assert log_loss(TRUTH, SHARES) == pytest.approx(expected, rel=1e-12)
    assert log_loss(TRUTH, SHARES, eps=0, rescale=False) == pytest.approx(expected, rel=1e-12)


def test_rows_are_rescaled_and_then_clipped_as_kaggle_does():
    assert log_loss(TRUTH, SHARES * 7) == pytest.approx(log_loss(TRUTH, SHARES))
    truth, predictions = np.array([0, 1]), np.array([[0.0, 3.0], [0.0, 3.0]])
    least, most = 1e-15, 1 - 1e-15
    assert log_loss(truth, predictions) == pytest.approx(-(math.log(least) + math.log(most)) / 2)
    assert log_loss(truth, predictions, eps=0.1) == pytest.approx(-(math.log(0.1) + math.log(0.9)) / 2)


def test_without_clipping_a_zero_costs_infinity():
    sure = np.array([[1.0, 0.0], [1.0, 0.0]])
    assert log_loss(np.array([0, 1]), sure, eps=0) == math.inf
    assert log_loss(np.array([0, 0]), sure, eps=0) == 0


@pytest.mark.parametrize(
    ("predictions", "reason"),
    [
        ([[0.5, -0.5]], "negative"),
        ([[0.0, 0.0]], "sums to 0"),
        ([[np.inf, 0.0]], "infinity"),
        ([[np.nan, 0.5]], "1 NaN among 2"),
        ([[1.0]], "classes from 1 to 1, and the predictions 1 columns"),
    ],
)
def test_what_are_no_probabilities_is_refused(predictions: list, reason: str):
    with pytest.raises(ValueError, match=reason):
        log_loss(np.array([1]), np.array(predictions))


def test_unscaled_rows_must_be_probabilities():
    for low, high in ((0.5, 1.5), (-0.5, 0.5)):
        with pytest.raises(ValueError, match=f"between 0 and 1, and the predictions go from {low} to {high}"):
            log_loss(np.array([1]), np.array([[low, high]]), rescale=False)


@pytest.mark.parametrize("truth", [-1, 2])
def test_a_class_that_is_no_column_is_refused(truth: int):
    with pytest.raises(ValueError, match=f"from {truth} to {truth}, and the predictions 2 columns"):
        log_loss(np.array([truth]), np.array([[0.5, 0.5]]))


def test_column_losses_equal_scikit_learn():
    columns = [sk.log_loss(LABELS[:, c], PROBABILITIES[:, c]) for c in range(8)]
    assert mean_column_log_loss(LABELS, PROBABILITIES) == pytest.approx(np.mean(columns), rel=1e-12)
    one_hot = np.eye(5)[TRUTH]
    assert mean_column_log_loss(TRUTH, SHARES) == mean_column_log_loss(one_hot, SHARES)


def test_weights_of_the_cervical_spine():
    positive, negative = [14, 2, 2, 2, 2, 2, 2, 2], [7, 1, 1, 1, 1, 1, 1, 1]
    rows = []
    for labels, probabilities in zip(LABELS, PROBABILITIES, strict=True):
        loss = weight = 0.0
        for column in range(8):
            w = (positive if labels[column] else negative)[column]
            p = probabilities[column] if labels[column] else 1 - probabilities[column]
            loss, weight = loss - w * math.log(p), weight + w
        rows.append(loss / weight)
    score = weighted_log_loss(LABELS, PROBABILITIES, positive=positive, negative=negative)
    assert score == pytest.approx(np.mean(rows), rel=1e-12)


def test_equal_weights_are_no_weights():
    score = weighted_log_loss(LABELS, PROBABILITIES, positive=[3] * 8, negative=[3] * 8)
    assert score == pytest.approx(mean_column_log_loss(LABELS, PROBABILITIES))


@pytest.mark.parametrize("weights", [[1] * 7, [0] * 8, [-1] * 8])
def test_weights_that_do_not_fit_are_refused(weights: list):
    with pytest.raises(ValueError, match="8 labels need as many weights above 0"):
        weighted_log_loss(LABELS, PROBABILITIES, positive=weights, negative=weights)


def test_labels_other_than_0_and_1_are_refused():
    with pytest.raises(ValueError, match="labels are 0 and 1"):
        mean_column_log_loss(LABELS * 2, PROBABILITIES)
