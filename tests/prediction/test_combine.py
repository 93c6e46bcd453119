"""Combining runs: what is fitted never sees the images it is scored on, and noise earns no weight."""

import numpy as np
import pytest

from pipeline.base.errors import UserError
from pipeline.prediction.combine import (
    ROUNDS,
    climb,
    each_column,
    fit_nested,
    log_probabilities,
    normalised,
    ranked,
    ridge,
    stacker,
    weighted,
)

COUNT, CLASSES = 600, 3
FOLDS = np.arange(COUNT) % 5


def run_of(labels: np.ndarray, skill: float, seed: int) -> np.ndarray:
    """Probabilities (N, C) that know the labels as far as `skill` goes."""
    random = np.random.default_rng(seed)
    return normalised(np.exp(skill * np.eye(CLASSES)[labels] + random.normal(0, 1, (len(labels), CLASSES))))


def accuracy(labels: np.ndarray, values: np.ndarray) -> float:
    return float(np.mean(values.argmax(axis=1) == labels))


@pytest.fixture(scope="module")
def labels() -> tuple[np.ndarray, np.ndarray]:
    """Of the training and of the test images."""
    random = np.random.default_rng(0)
    return random.integers(0, CLASSES, COUNT), random.integers(0, CLASSES, COUNT)


@pytest.fixture(scope="module")
def runs(labels) -> tuple[np.ndarray, np.ndarray]:
    """Out-of-fold and test predictions (R, N, C) of two runs of equal skill and one that knows nothing."""
    skills = (1.2, 1.2, 0.0)
    return (
        np.stack([run_of(labels[0], skill, seed) for seed, skill in enumerate(skills)]),
        np.stack([run_of(labels[1], skill, seed + 10) for seed, skill in enumerate(skills)]),
    )


def fit_climb(values: np.ndarray, labels: np.ndarray):
    return lambda rows: weighted(climb(values[:, rows], lambda mean: accuracy(labels[rows], mean)))


def fit_stack(values: np.ndarray, labels: np.ndarray):
    def fit(rows: np.ndarray):
        model = stacker(log_probabilities(values[:, rows]), labels[rows], CLASSES)
        return lambda other: model(log_probabilities(other))

    return fit


class TestFitNested:
    def test_no_row_is_looked_at_by_the_fit_that_predicts_it(self):
        """A fit that predicts its own number, and notes its rows."""
        folds = np.array([0, 1, 2, 0, 1, 2])
        looked = []

        def fit(rows: np.ndarray):
            looked.append(set(rows.tolist()))
            return lambda values: np.full(values.shape[1:], len(looked))

        oof, test = fit_nested(fit, np.zeros((2, 6, 1)), np.zeros((2, 4, 1)), folds)
        assert oof[:, 0].tolist() == [1, 2, 3, 1, 2, 3] and test[:, 0].tolist() == [4] * 4
        assert looked == [{1, 2, 4, 5}, {0, 2, 3, 5}, {0, 1, 3, 4}, set(range(6))]

    def test_a_combination_gets_the_rows_of_its_fold_in_order(self, runs):
        oof, test = runs
        found = fit_nested(lambda rows: weighted(np.array([1.0, 0.0, 0.0])), oof, test, FOLDS)
        np.testing.assert_array_equal(found[0], oof[0])
        np.testing.assert_array_equal(found[1], test[0])

    def test_fold_numbers_need_not_be_in_a_row(self, runs):
        found, _ = fit_nested(lambda rows: weighted(np.full(3, 1 / 3)), *runs, np.where(FOLDS == 0, 7, 2))
        np.testing.assert_allclose(found, runs[0].mean(axis=0))

    @pytest.mark.parametrize("make", [fit_climb, fit_stack])
    def test_what_is_fitted_beats_the_members_on_images_it_never_saw(self, make, runs, labels):
        oof, test = fit_nested(make(runs[0], labels[0]), *runs, FOLDS)
        assert accuracy(labels[0], oof) > max(accuracy(labels[0], run) for run in runs[0])
        assert accuracy(labels[1], test) > max(accuracy(labels[1], run) for run in runs[1])

    @pytest.mark.parametrize("make", [fit_climb, fit_stack])
    def test_the_score_is_honest(self, make, labels):
        """Members that are pure noise: what is fitted to all images seems to help; nested, it is chance."""
        noise = np.stack([run_of(labels[0], 0.0, seed) for seed in range(20, 26)])
        nested, _ = fit_nested(make(noise, labels[0]), noise, noise, FOLDS)
        fitted_on_all = make(noise, labels[0])(np.arange(COUNT))(noise)
        assert accuracy(labels[0], nested) < 0.36 < accuracy(labels[0], fitted_on_all)

    def test_nothing_can_be_fitted_honestly_to_a_lone_fold(self, runs):
        with pytest.raises(
            UserError, match=r"one fold alone.*--method mean or rank, or runs with more folds"
        ):
            fit_nested(lambda rows: weighted(np.ones(3)), *runs, np.zeros(COUNT, dtype=int))


class TestClimb:
    def test_weights_are_multiples_of_a_round_and_sum_to_one(self, runs, labels):
        weights = climb(runs[0], lambda mean: accuracy(labels[0], mean))
        assert weights.sum() == pytest.approx(1) and (weights >= 0).all()
        picks = 1 / weights[weights > 0].min()
        assert picks <= ROUNDS and np.allclose(weights * round(picks), np.round(weights * round(picks)))

    def test_a_run_that_knows_nothing_gets_next_to_nothing(self, runs, labels):
        assert climb(runs[0], lambda mean: accuracy(labels[0], mean))[2] < 0.2

    def test_it_begins_with_the_best_and_stops_where_nothing_helps(self):
        values = np.array([[[0.2]], [[0.9]], [[0.5]]])
        assert climb(values, lambda mean: float(mean.item())).tolist() == [0, 1, 0]

    def test_a_run_that_is_poor_alone_may_help(self):
        """Three picks come to two thirds, and no fourth comes closer to 0.7."""
        values = np.array([[[0.0]], [[1.0]]])
        weights = climb(values, lambda mean: -abs(mean.item() - 0.7))
        np.testing.assert_allclose(weights, [1 / 3, 2 / 3])

    def test_a_score_that_nothing_has_chooses_nothing(self):
        values = np.random.default_rng(0).random((4, 5, 2))
        assert climb(values, lambda mean: float("nan")).tolist() == [0.25] * 4

    def test_a_run_whose_score_is_nan_is_passed_over(self):
        values = np.array([[[np.nan]], [[0.3]], [[0.6]]])
        assert climb(values, lambda mean: float(mean.item())).tolist() == [0, 0, 1]


class TestRanked:
    def test_each_run_and_class_has_ranks_of_its_own(self):
        values = np.array([[[0.1, 0.9], [0.3, 0.2], [0.2, 0.4]], [[5.0, 1.0], [4.0, 2.0], [3.0, 3.0]]])
        expected = np.array([[[1, 3], [3, 1], [2, 2]], [[3, 1], [2, 2], [1, 3]]]) / 3
        np.testing.assert_allclose(ranked(values), expected)

    def test_equal_values_share_their_mean_rank_whatever_their_row(self):
        values = np.array([[[0.0], [0.5], [0.5], [0.5], [0.9]]])
        np.testing.assert_allclose(ranked(values)[0, :, 0], np.array([1, 3, 3, 3, 5]) / 5)

    def test_it_sees_the_order_alone(self, runs):
        np.testing.assert_array_equal(ranked(runs[0]), ranked(np.log(runs[0]) * 7 - 3))


class TestStacker:
    def test_rows_sum_to_one_and_the_right_class_wins(self, runs, labels):
        found = fit_stack(runs[0], labels[0])(np.arange(COUNT))(runs[1])
        np.testing.assert_allclose(found.sum(axis=1), 1)
        assert accuracy(labels[1], found) > accuracy(labels[1], runs[1].mean(axis=0)) - 0.02

    def test_a_class_it_has_not_seen_gets_nothing_and_keeps_its_column(self, runs, labels):
        known = np.flatnonzero(labels[0] != 1)
        found = fit_stack(runs[0], labels[0])(known)(runs[1])
        assert found.shape == (COUNT, CLASSES) and not found[:, 1].any()
        np.testing.assert_allclose(found.sum(axis=1), 1)

    def test_a_run_that_is_wrong_on_purpose_is_read_the_other_way_round(self, labels):
        """Logs of probabilities have weights below zero, which a mean has not."""
        liar = normalised(1 - run_of(labels[0], 5.0, 0))
        assert (
            accuracy(labels[0], liar)
            < 0.2
            < 0.9
            < accuracy(labels[0], fit_stack(liar[None], labels[0])(np.arange(COUNT))(liar[None]))
        )

    def test_one_class_alone_is_always_predicted(self):
        found = stacker(np.zeros((4, 2)), np.full(4, 2), CLASSES)(np.ones((3, 2)))
        assert found.tolist() == [[0, 0, 1]] * 3

    def test_a_probability_of_zero_has_a_logarithm(self):
        found = log_probabilities(np.array([[[0.0, 1.0]], [[0.5, 0.5]]]))
        assert found.shape == (1, 4)
        np.testing.assert_allclose(found, np.log([[1e-6, 1.0, 0.5, 0.5]]))


class TestNormalised:
    def test_rows_are_scaled_to_a_sum_of_one(self):
        np.testing.assert_allclose(normalised(np.array([[1.0, 3.0], [0.2, 0.2]])), [[0.25, 0.75], [0.5, 0.5]])

    def test_a_row_of_zeros_stays_finite(self):
        assert normalised(np.zeros((2, 3))).tolist() == [[0, 0, 0]] * 2


class TestColumns:
    def test_each_column_has_a_model_of_its_own_that_sees_other_folds_alone(self):
        random = np.random.default_rng(0)
        features, noise = random.normal(size=(2, 200, 3)), random.normal(0, 0.1, (200, 2))
        truth = np.stack([features[0] @ [1, -2, 0], 5 + features[1] @ [0, 0, 3]], axis=1) + noise
        folds = np.arange(200) % 4
        oof, test = fit_nested(each_column(ridge, features, truth), features, features[:, :7], folds)
        assert oof.shape == (200, 2) and test.shape == (7, 2)
        assert np.abs(oof - truth).mean(axis=0) == pytest.approx([0.08, 0.08], abs=0.02)
        useless, _ = fit_nested(each_column(ridge, features, noise), features, features, folds)
        assert ((useless - noise) ** 2).mean() >= 0.95 * noise.var()
