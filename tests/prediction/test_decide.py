"""Thresholds and cut points: what they choose, and that they choose the best of it."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from pipeline.frame.values import frame_of
from pipeline.metrics.classes import quadratic_kappa
from pipeline.metrics.f_score import f_beta
from pipeline.prediction.decide import DECIDED, CutPoints, Score, Thresholds

CLASSES = ["cat", "dog", "emu"]


def predictions(values: np.ndarray | list, columns: list[str] = CLASSES) -> pd.DataFrame:
    values = np.asarray(values, dtype="float64")
    return frame_of([str(n) for n in range(len(values))], values, columns)


def labelled(seed: int, count: int = 300) -> tuple[np.ndarray, pd.DataFrame]:
    """Labels (N, 3), and probabilities that say too little for cats and too much for emus."""
    random = np.random.default_rng(seed)
    true = random.random((count, 3)) < (0.3, 0.5, 0.2)
    sure = np.where(true, 0.75, 0.25) + random.normal(0, 0.12, true.shape)
    return true, predictions((sure + np.array([-0.2, 0.0, 0.2])).clip(0, 1))


def f1_against(true: np.ndarray) -> Score:
    def score(given: pd.DataFrame) -> float:
        decided = np.array([[name in names for name in CLASSES] for names in given[DECIDED]])
        return f_beta(true, decided, average="macro")

    return score


def kappa_against(true: np.ndarray) -> Score:
    return lambda given: quadratic_kappa(true, given[DECIDED].to_numpy(dtype="int64"))


def undefined(given: pd.DataFrame) -> float:
    return math.nan


class TestThresholdsApplied:
    rows = predictions([[0.2, 0.5, 0.9], [0.1, 0.1, 0.3], [0.4, 0.4, 0.4]])

    @pytest.mark.parametrize(
        ("fitted", "expected"),
        [
            ([0.5, 0.5, 0.5], [["dog", "emu"], [], []]),
            ([0.15, 0.6, 0.3], [["cat", "emu"], ["emu"], ["cat", "emu"]]),
        ],
    )
    def test_a_label_is_there_where_its_threshold_is_reached(self, fitted, expected):
        rows = self.rows.astype(dict.fromkeys(CLASSES, "float64")).round(6)
        assert Thresholds().apply(rows, CLASSES, fitted)[DECIDED].tolist() == expected

    @pytest.mark.parametrize(
        ("least", "expected"),
        [
            (1, [["dog", "emu"], ["emu"], ["cat"]]),
            (2, [["dog", "emu"], ["cat", "emu"], ["cat", "dog"]]),
            (9, [CLASSES, CLASSES, CLASSES]),
        ],
    )
    def test_the_most_probable_ones_make_up_what_is_missing(self, least, expected):
        made = Thresholds(at_least=least).apply(self.rows, CLASSES, [0.5, 0.5, 0.5])
        assert made[DECIDED].tolist() == expected

    def test_predictions_and_their_rows_stay_as_they_are(self):
        part = self.rows.iloc[[2, 0]]
        made = Thresholds().apply(part, CLASSES, [0.5] * 3)
        pd.testing.assert_frame_equal(made.drop(columns=DECIDED), part)
        assert made[DECIDED].tolist() == [[], ["dog", "emu"]] and DECIDED not in part

    def test_the_order_of_the_columns_is_that_of_the_classes(self):
        made = Thresholds().apply(self.rows[["image_id", "emu", "cat", "dog"]], CLASSES, [0.15, 0.6, 0.3])
        assert made[DECIDED].tolist()[0] == ["cat", "emu"]


class TestThresholdsFitted:
    def test_one_for_all_beats_one_half(self):
        true, given = labelled(0)
        given[CLASSES] -= 0.2
        score, decision = f1_against(true), Thresholds()
        fitted = decision.fit(given, CLASSES, score)
        assert len(set(fitted)) == 1 and len(fitted) == 3 and fitted[0] < 0.45
        half = decision.apply(given, CLASSES, [0.5] * 3)
        assert score(decision.apply(given, CLASSES, fitted)) > score(half) + 0.05

    def test_one_for_each_follows_each_label_also_on_images_it_has_not_seen(self):
        true, given = labelled(0)
        each, one = Thresholds(per_class=True), Thresholds()
        fitted, common = (decision.fit(given, CLASSES, f1_against(true)) for decision in (each, one))
        assert fitted[0] < 0.45 < fitted[1] < 0.6 < fitted[2]
        hidden, other = labelled(1)
        score = f1_against(hidden)
        assert score(each.apply(other, CLASSES, fitted)) > score(one.apply(other, CLASSES, common)) + 0.02

    def test_of_equal_thresholds_the_one_closest_to_one_half_is_taken(self):
        given = predictions([[0.9] * 3, [0.1] * 3])
        for per_class in (False, True):
            decision = Thresholds(per_class)
            assert decision.fit(given, CLASSES, f1_against(np.array([[1] * 3, [0] * 3], bool))) == [0.5] * 3

    @pytest.mark.parametrize("per_class", [False, True])
    def test_a_score_that_is_not_defined_chooses_nothing(self, per_class):
        _, given = labelled(0, 20)
        assert Thresholds(per_class).fit(given, CLASSES, undefined) == [0.5] * 3

    def test_a_defined_score_beats_one_that_is_not(self):
        _, given = labelled(0, 60)
        rare = lambda frame: 1.0 if (frame[DECIDED].str.len() <= 1).mean() > 0.9 else math.nan  # noqa: E731
        fitted = Thresholds().fit(given, CLASSES, rare)
        assert rare(Thresholds().apply(given, CLASSES, fitted)) == 1.0

    def test_what_is_fitted_survives_json(self):
        true, given = labelled(0, 60)
        fitted = Thresholds(per_class=True).fit(given, CLASSES, f1_against(true))
        assert json.loads(json.dumps(fitted)) == fitted


def graded(seed: int, count: int = 400) -> tuple[np.ndarray, pd.DataFrame]:
    """Grades 1 to 5, and values drawn towards the middle and upwards, as a mean squared error makes them."""
    random = np.random.default_rng(seed)
    true = random.choice([1, 2, 3, 4, 5], count, p=[0.4, 0.1, 0.25, 0.1, 0.15])
    values = 2.9 + 0.55 * (true - 2.5) + random.normal(0, 0.3, count)
    return true, predictions(values[:, None].clip(1, 5), ["grade"])


class TestCutPoints:
    decision = CutPoints(1, 5)
    middles = (1.5, 2.5, 3.5, 4.5)

    def test_a_grade_begins_at_its_cut(self):
        given = predictions([[1.0], [1.5], [2.4], [2.5], [4.4], [5.0], [-9], [9]], ["grade"])
        made = self.decision.apply(given, ["grade"], [1.5, 2.5, 3.5, 4.5])
        assert made[DECIDED].tolist() == [1, 2, 2, 3, 4, 5, 1, 5]
        pd.testing.assert_frame_equal(made.drop(columns=DECIDED), given)

    def test_the_first_column_is_cut(self):
        given = predictions([[2.0, 4.0]], ["grade", "grade_sigma"])
        assert self.decision.apply(given, ["grade", "grade_sigma"], self.middles)[DECIDED].tolist() == [2]

    def test_fitted_cuts_beat_rounding_also_on_images_they_have_not_seen(self):
        true, given = graded(0)
        fitted = self.decision.fit(given, ["grade"], kappa_against(true))
        assert fitted == sorted(fitted) and len(fitted) == 4
        for seed in (0, 1):
            true, given = graded(seed)
            score = kappa_against(true)
            cut, rounded = (self.decision.apply(given, ["grade"], cuts) for cuts in (fitted, self.middles))
            assert score(cut) > score(rounded) + 0.05

    @pytest.mark.parametrize("seed", range(8))
    def test_on_the_images_they_are_fitted_on_they_are_never_worse_than_the_middles(self, seed):
        """Few images, and values that know nothing: nothing that is found need be any good."""
        random = np.random.default_rng(seed)
        true, given = random.integers(1, 6, 12), predictions(random.uniform(1, 5, (12, 1)), ["grade"])
        score = kappa_against(true)
        fitted = self.decision.fit(given, ["grade"], score)
        cut, rounded = (self.decision.apply(given, ["grade"], cuts) for cuts in (fitted, self.middles))
        assert score(cut) >= score(rounded)

    def test_the_middles_stay_where_nothing_is_better(self):
        true = np.repeat([1, 2, 3, 4, 5], 4)
        assert self.decision.fit(
            predictions(true[:, None], ["grade"]), ["grade"], kappa_against(true)
        ) == list(self.middles)

    def test_a_score_that_is_not_defined_chooses_nothing(self, recwarn):
        _, given = graded(0, 20)
        assert self.decision.fit(given, ["grade"], undefined) == list(self.middles)
        assert not recwarn.list

    def test_two_grades_have_one_cut(self):
        true = np.array([0, 0, 0, 1, 1, 1])
        given = predictions([[0.1], [0.2], [0.52], [0.7], [0.8], [0.9]], ["grade"])
        (cut,) = CutPoints(0, 1).fit(given, ["grade"], kappa_against(true))
        assert 0.52 < cut <= 0.7

    def test_what_is_fitted_survives_json(self):
        true, given = graded(0, 60)
        fitted = self.decision.fit(given, ["grade"], kappa_against(true))
        assert json.loads(json.dumps(fitted)) == fitted
