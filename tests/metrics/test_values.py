"""Predicted numbers and shares, against scikit-learn, scipy and published examples."""

import math

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from pipeline.metrics.shares import kl_divergence
from pipeline.metrics.values import laplace_log_likelihood, mae, mean_column_rmse, r2, rmse

RANDOM = np.random.default_rng(0)
TRUTH, PREDICTIONS = RANDOM.normal(size=(2, 40, 3)) * [1, 10, 100]


def test_errors_equal_scikit_learn():
    assert rmse(TRUTH, PREDICTIONS) == pytest.approx(math.sqrt(sk.mean_squared_error(TRUTH, PREDICTIONS)))
    assert mean_column_rmse(TRUTH, PREDICTIONS) == pytest.approx(
        sk.root_mean_squared_error(TRUTH, PREDICTIONS)
    )
    assert mae(TRUTH, PREDICTIONS) == pytest.approx(sk.mean_absolute_error(TRUTH, PREDICTIONS))


def test_errors_of_images_do_not_wrap_around():
    dark, bright = np.array([[10]], dtype=np.uint8), np.array([[12]], dtype=np.uint8)
    assert rmse(dark, bright) == mae(dark, bright) == mean_column_rmse(dark, bright) == 2


def test_r2_is_one_less_the_unexplained_variance():
    squares = ((TRUTH - PREDICTIONS) ** 2).sum(0) / ((TRUTH - TRUTH.mean(0)) ** 2).sum(0)
    assert r2(TRUTH, PREDICTIONS) == pytest.approx((1 - squares).mean())
    means = np.broadcast_to(TRUTH.mean(0), TRUTH.shape)
    assert r2(TRUTH, means) == pytest.approx(0, abs=1e-12)


def test_a_truth_that_does_not_vary_has_no_r2():
    constant = np.ones((4, 1))
    assert np.isnan(r2(constant, constant))
    assert np.isnan(r2(np.hstack([TRUTH[:4, :1], constant]), PREDICTIONS[:4, :2]))
    assert np.isnan(r2(TRUTH[:1], PREDICTIONS[:1]))


def test_means_over_columns_need_columns():
    for metric in (r2, mean_column_rmse):
        with pytest.raises(ValueError, match=r"values \(N, K\)"):
            metric(TRUTH[:, 0], PREDICTIONS[:, 0])


def test_laplace_equals_scipy_where_nothing_is_cut():
    truth = RANDOM.normal(2500, 300, (30, 1))
    sigma = RANDOM.uniform(80, 400, (30, 1))
    predictions = np.hstack([truth + RANDOM.uniform(-900, 900, (30, 1)), sigma])
    # A Laplace distribution of that sigma; OSIC leaves the scale's 1/sqrt(2) in the logarithm.
    density = stats.laplace.logpdf(truth, predictions[:, :1], sigma / math.sqrt(2))
    assert laplace_log_likelihood(truth, predictions) == pytest.approx(density.mean())
    assert laplace_log_likelihood(truth[:, 0], predictions) == laplace_log_likelihood(truth, predictions)


@pytest.mark.parametrize(
    ("error", "sigma", "counted_error", "counted_sigma"),
    [(0, 70, 0, 70), (0, 1, 0, 70), (0, -5, 0, 70), (3000, 100, 1000, 100), (-3000, 0, 1000, 70)],
)
def test_laplace_is_cut_as_osic_says(error: float, sigma: float, counted_error: float, counted_sigma: float):
    expected = -math.sqrt(2) * counted_error / counted_sigma - math.log(math.sqrt(2) * counted_sigma)
    score = laplace_log_likelihood(np.array([[2000.0]]), np.array([[2000.0 + error, sigma]]))
    assert score == pytest.approx(expected)


def test_a_likelihood_without_sigma_is_refused():
    with pytest.raises(ValueError, match="value and sigma"):
        laplace_log_likelihood(np.ones((3, 1)), np.ones((3, 1)))


@pytest.mark.parametrize(
    ("truth", "predictions", "published"),
    [
        ([[0, 1], [1, 0], [1, 0], [0, 1]], [[0.1, 0.9], [0.9, 0.1], [0.8, 0.2], [0.35, 0.65]], 0.216161),
        ([[0, 0.1, 0.9], [0.5, 0.5, 0], [0.5, 0.5, 0]], [[0, 0.1, 0.9], [0.5, 0.5, 0], [0.5, 0.5, 0]], 0),
        (
            [[0, 0.1, 0.9], [0.5, 0.5, 0], [0.5, 0.5, 0]],
            [[0.2, 0.1, 0.7], [0.3, 0.5, 0.2], [0.5, 0.5, 0]],
            0.160531,
        ),
    ],
)
def test_divergences_published_by_kaggle(truth: list, predictions: list, published: float):
    """The examples of kaggle.com/code/metric/kullback-leibler-divergence."""
    assert kl_divergence(np.array(truth), np.array(predictions)) == pytest.approx(published, abs=1e-6)


def test_divergence_equals_scipy_and_is_not_symmetric():
    truth, predictions = RANDOM.dirichlet(np.ones(6), (2, 25))
    assert kl_divergence(truth, predictions) == pytest.approx(
        stats.entropy(truth, predictions, axis=1).mean()
    )
    assert kl_divergence(truth, predictions) != pytest.approx(kl_divergence(predictions, truth))


def test_a_share_that_was_given_nothing_costs_what_the_clip_allows():
    truth, predictions = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])
    assert kl_divergence(truth, predictions) == pytest.approx(-math.log(1e-15))
    assert kl_divergence(truth, predictions, eps=0) == math.inf


@pytest.mark.parametrize("side", ["truth", "prediction"])
def test_rows_that_do_not_sum_to_1_are_refused(side: str):
    good, bad = np.full((2, 2), 0.5), np.array([[0.5, 0.5], [0.2, 0.2]])
    with pytest.raises(ValueError, match=f"row 1 of the {side} sums to 0.4"):
        kl_divergence(*((bad, good) if side == "truth" else (good, bad)))
