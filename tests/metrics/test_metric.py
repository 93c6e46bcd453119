"""A metric as an object: its direction, its rule for NaN, its name."""

import pickle
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.metrics.metric import Metric
from pipeline.metrics.values import laplace_log_likelihood, rmse

steady = settings(derandomize=True, deadline=None)

UP = Metric(name="up", function=laplace_log_likelihood, needs="values")
DOWN = Metric(name="down", function=rmse, needs="values", larger_is_better=False)
NAN = float("nan")
numbers = st.floats(allow_nan=False)


def test_the_direction_decides_what_is_better():
    assert (UP.sign, DOWN.sign) == (1, -1)
    assert UP.better(2, 1) and not UP.better(1, 2)
    assert DOWN.better(1, 2) and not DOWN.better(2, 1)
    assert DOWN.better(1, float("inf"))


@steady
@given(numbers)
def test_nan_beats_nothing_and_every_number_beats_nan(score: float):
    for metric in (UP, DOWN):
        assert not metric.better(NAN, score)
        assert metric.better(score, NAN)
        assert not metric.better(NAN, NAN)
        assert not metric.better(score, score)


@steady
@given(numbers, numbers)
def test_better_is_the_order_of_the_signed_scores(one: float, other: float):
    for metric in (UP, DOWN):
        assert metric.better(one, other) == (metric.sign * one > metric.sign * other)


@pytest.mark.parametrize("name", ["", "a b", "f0.5", "map@5", "a\n"])
def test_names_that_do_not_fit_a_table_are_refused(name: str):
    with pytest.raises(ValueError, match="letters, digits and underscores"):
        Metric(name=name, function=rmse, needs="values")


def test_a_metric_travels_to_another_process():
    metric = Metric(name="laplace", function=partial(laplace_log_likelihood, least_sigma=1), needs="values")
    copy = pickle.loads(pickle.dumps(metric))
    assert (copy.name, copy.needs, copy.larger_is_better) == ("laplace", "values", True)
    assert copy.function.keywords == {"least_sigma": 1}
