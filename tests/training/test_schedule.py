"""The learning rate is a pure function of the step, so every trap about the order of step() calls is void."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.tasks.classification.config import TrainConfig
from pipeline.training.schedule import lr_factor

SCHEDULES = ("cosine", "step", "one_cycle", "constant")


def factors(total: int, schedule: str, warmup: float) -> list[float]:
    """The whole run's factors."""
    config = TrainConfig(schedule=schedule, warmup=warmup)
    return [lr_factor(step, total, config) for step in range(total)]


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 400), st.sampled_from(SCHEDULES), st.floats(0, 1))
def test_factors_lie_between_zero_and_one_and_the_first_is_above_zero(total, schedule, warmup):
    run = factors(total, schedule, warmup)
    assert all(0 <= factor <= 1 for factor in run)
    assert run[0] > 0


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_warmup_rises_in_equal_steps_to_the_peak(schedule):
    run = factors(100, schedule, warmup=0.09)
    assert run[:9] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
    assert run[9] == 1


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_without_warmup_the_first_step_is_at_the_peak(schedule):
    assert factors(100, schedule, warmup=0)[0] == 1


@settings(deadline=None, max_examples=50)
@given(st.integers(2, 400), st.sampled_from(SCHEDULES), st.floats(0, 0.9))
def test_after_warmup_it_never_rises(total, schedule, warmup):
    run = factors(total, schedule, warmup)[round(total * warmup) :]
    assert all(later <= earlier for earlier, later in itertools.pairwise(run))


@pytest.mark.parametrize("schedule", ["cosine", "one_cycle"])
def test_the_end_is_near_zero(schedule):
    run = factors(1000, schedule, warmup=0.1)
    assert 0 < run[-1] < 0.002


def test_cosine_is_at_half_in_the_middle():
    assert factors(1000, "cosine", warmup=0)[500] == pytest.approx(0.5)


def test_one_cycle_is_a_triangle():
    run = factors(100, "one_cycle", warmup=0.25)
    assert max(run) == run[25] == 1
    assert run[50] == pytest.approx(2 / 3)


@pytest.mark.parametrize("warmup", [0, 0.1])
def test_step_drops_tenfold_at_half_and_at_three_quarters_of_the_run(warmup):
    run = factors(200, "step", warmup)
    assert (run[99], run[100], run[149], run[150], run[199]) == pytest.approx((1, 0.1, 0.1, 0.01, 0.01))


def test_constant_stays():
    assert set(factors(50, "constant", warmup=0)) == {1.0}
