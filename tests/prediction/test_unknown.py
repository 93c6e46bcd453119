"""The place of an unknown class among the others."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from pipeline.base.errors import UserError
from pipeline.frame.top import KEPT, read_top, top_frame, top_of
from pipeline.frame.values import frame_of, top_names, values_of
from pipeline.metrics.ranking import map_at_k
from pipeline.prediction.unknown import UnknownClass

CLASSES = ["ann", "bob", "eve", "new"]
IDS = [f"i{number}" for number in range(600)]


def framed(values: np.ndarray | list) -> pd.DataFrame:
    values = np.asarray(values, dtype="float64")
    return frame_of(IDS[: len(values)], values, CLASSES)


def seen(seed: int, count: int = 400) -> tuple[np.ndarray, pd.DataFrame]:
    """Classes (N,), a third of them new, and probabilities that hardly ever speak for new: of strangers, they
    are spread over the others."""
    random = np.random.default_rng(seed)
    true = random.choice(4, count, p=[0.25, 0.2, 0.2, 0.35])
    sharp = np.where(true == 3, 0.8, 3.5)[:, None]
    outputs = random.normal(0, 1, (count, 4)) + sharp * np.eye(4)[true] - [0, 0, 0, 2.5]
    values = np.exp(outputs)
    return true, framed(values / values.sum(axis=1, keepdims=True))


def map_against(true: np.ndarray, k: int = 3):
    return lambda given: map_at_k(true, values_of(given, CLASSES), k=k)


class TestApplied:
    rows = framed([[0.6, 0.3, 0.1, 0.0], [0.4, 0.25, 0.15, 0.2], [0.1, 0.1, 0.1, 0.7]])

    @pytest.mark.parametrize(
        ("fitted", "expected"),
        [
            (0.0, ["ann bob eve", "ann bob new", "new ann bob"]),
            (0.2, ["ann bob new", "ann new bob", "new ann bob"]),
            (0.35, ["ann new bob", "new ann bob", "new ann bob"]),
            (-0.65, ["ann bob eve", "ann bob eve", "ann bob eve"]),
            (1.0, ["new ann bob"] * 3),
        ],
    )
    def test_it_comes_before_those_that_are_less_probable_by_so_much(self, fitted, expected):
        made = UnknownClass("new").apply(self.rows, CLASSES, fitted)
        assert [" ".join(names) for names in top_names(made, CLASSES, 3)] == expected

    @pytest.mark.parametrize("fitted", [-1.0, -0.3, 0.0, 0.4, 1.0])
    def test_rows_sum_to_one_and_the_others_keep_their_shares(self, fitted):
        made = UnknownClass("new").apply(self.rows.iloc[[1, 0]], CLASSES, fitted)
        assert made.index.tolist() == [1, 0] and made["image_id"].tolist() == ["i1", "i0"]
        np.testing.assert_allclose(made[CLASSES].sum(axis=1), 1, atol=1e-6)
        np.testing.assert_allclose(made["ann"] / made["bob"], [1.6, 2.0], rtol=1e-5)

    def test_the_predictions_stay_as_they_are(self):
        given = self.rows.astype(dict.fromkeys(CLASSES, "float64"))
        kept = given.copy()
        UnknownClass("new").fit(given, CLASSES, map_against(np.array([0, 3, 3])))
        UnknownClass("new").apply(given, CLASSES, 0.3)
        pd.testing.assert_frame_equal(given, kept)

    @pytest.mark.parametrize("fitted", [-0.5, -0.001, 0.0, 0.002, 0.3])
    def test_of_very_many_classes_it_is_the_same(self, fitted):
        """Also where it is not among those that are kept of a row."""
        random = np.random.default_rng(0)
        names = [f"c{number}" for number in range(5 * KEPT)]
        values = random.dirichlet(np.full(len(names), 0.1), 40)
        ids = IDS[:40]
        decision = UnknownClass("c7")
        kept = decision.apply(top_frame(ids, top_of(values)), names, fitted)
        dense = decision.apply(
            frame_of(ids, read_top(top_frame(ids, top_of(values))).dense(), names), names, fitted
        )
        assert top_names(kept, names, 5) == top_names(dense, names, 5)
        np.testing.assert_allclose(kept["p_1"], dense[names].max(axis=1), rtol=1e-4)

    def test_a_class_that_no_training_image_has_is_refused(self):
        with pytest.raises(UserError, match=r"no training image has the label 'nobody'.*give it to some"):
            UnknownClass("nobody").apply(self.rows, CLASSES, 0.1)


class TestFitted:
    def test_it_raises_the_score_also_on_images_it_has_not_seen(self):
        true, given = seen(0)
        decision = UnknownClass("new", ranks=3)
        fitted = decision.fit(given, CLASSES, map_against(true))
        assert 0 < fitted < 1
        for seed in (0, 1):
            true, given = seen(seed)
            score = map_against(true)
            assert score(decision.apply(given, CLASSES, fitted)) > score(given) + 0.03

    def test_where_nobody_is_new_it_goes_to_the_end(self):
        true, given = seen(2)
        given, true = given[true < 3].reset_index(drop=True), true[true < 3]
        given[CLASSES] *= [0.5, 0.5, 0.5, 6]
        given[CLASSES] /= given[CLASSES].sum(axis=1).to_numpy()[:, None]
        decision = UnknownClass("new", ranks=3)
        fitted = decision.fit(given, CLASSES, map_against(true))
        made = decision.apply(given, CLASSES, fitted)
        assert fitted < 0 and map_against(true)(made) > map_against(true)(given)

    def test_of_equal_numbers_the_one_closest_to_none_is_taken(self):
        given = framed([[0.7, 0.1, 0.1, 0.1], [0.0, 0.1, 0.1, 0.8]])
        assert UnknownClass("new").fit(given, CLASSES, map_against(np.array([0, 3]))) == 0.0

    def test_a_score_that_is_not_defined_chooses_nothing(self):
        assert UnknownClass("new").fit(seen(0, 20)[1], CLASSES, lambda given: math.nan) == 0.0

    def test_what_is_fitted_survives_json(self):
        true, given = seen(0, 60)
        fitted = UnknownClass("new").fit(given, CLASSES, map_against(true))
        assert json.loads(json.dumps(fitted)) == fitted
