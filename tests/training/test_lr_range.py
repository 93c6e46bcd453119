"""The range test against losses whose best rate is known, and what it does when they explode."""

import math
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from pipeline.base.errors import UserError
from pipeline.training.lr_range import Suggestion, fit, plot_range_test, range_test, suggest


def sigmoid_fall(center: float, width: float = 1.0):
    """A loss that falls from 2 to 1 as the rate passes `center`, fastest right there."""
    return lambda lr: 1 + 1 / (1 + math.exp((math.log(lr) - math.log(center)) / width))


def valley(center: float):
    """That fall, and a rise past a hundred times as much."""
    return lambda lr: sigmoid_fall(center, 0.5)(lr) + lr / (100 * center)


class TestRangeTest:
    def test_rates_rise_by_one_ratio_and_reach_both_ends(self):
        rates = []
        frame = range_test(lambda lr: rates.append(lr) or 1.0, 1e-4, 1.0, 9)
        assert list(frame.columns) == ["lr", "loss", "fitted"]
        assert frame["lr"].tolist() == rates
        assert rates[0] == pytest.approx(1e-4) and rates[-1] == pytest.approx(1.0)
        assert np.diff(np.log(rates)) == pytest.approx(math.log(10) / 2)

    @pytest.mark.parametrize("bad", [math.nan, math.inf])
    def test_it_ends_at_a_loss_that_is_not_finite_and_keeps_none(self, bad):
        calls = []
        frame = range_test(lambda lr: calls.append(lr) or (bad if len(calls) == 20 else 1.0))
        assert len(calls) == 20 and len(frame) == 19 and np.isfinite(frame.to_numpy()).all()

    def test_it_ends_when_the_average_is_four_times_the_lowest(self):
        calls = []
        frame = range_test(lambda lr: calls.append(lr) or (1.0 if len(calls) <= 30 else 1000.0))
        assert len(frame) == len(calls) == 31, "one step at 1000 lifts the average past 4"

    @pytest.mark.parametrize("low, high", [(0, 1), (-1, 1), (1, 1), (2, 1), (math.nan, 1)])
    def test_a_range_that_does_not_rise_is_refused(self, low, high):
        with pytest.raises(UserError, match="must rise from above 0"):
            range_test(lambda lr: 1.0, low, high)

    def test_one_step_is_no_range(self):
        with pytest.raises(UserError, match="at least 2 steps, not 1"):
            range_test(lambda lr: 1.0, steps=1)


class TestFit:
    @pytest.mark.parametrize("count", [1, 2, 3, 20, 100])
    def test_a_level_is_its_own_curve(self, count):
        assert fit(np.full(count, 2.5)) == pytest.approx(2.5)

    def test_a_line_is_its_own_curve(self):
        line = np.linspace(3.0, 1.0, 100)
        assert fit(line)[20:] == pytest.approx(line[20:], abs=1e-3)

    def test_it_does_not_trail_the_points(self):
        """Where the points fall by half, an average of the past is still at the top."""
        losses = np.where(np.arange(100) < 50, 2.0, 1.0)
        assert abs(int((fit(losses) < 1.5).argmax()) - 50) <= 1

    def test_how_far_a_loss_blew_up_does_not_matter(self):
        losses = np.r_[np.linspace(2, 1, 80), np.full(10, 1e3)]
        assert fit(losses) == pytest.approx(fit(np.r_[losses[:80], np.full(10, 1e9)]))

    def test_no_points_have_no_curve(self):
        assert len(fit(np.array([]))) == 0


def framed(lr: np.ndarray, loss: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"lr": lr, "loss": loss, "fitted": fit(loss)})


class TestSuggest:
    @pytest.mark.parametrize("center", [1e-4, 1e-3, 1e-2])
    def test_it_lies_between_the_fall_and_where_the_loss_blows_up(self, center):
        lr = np.geomspace(1e-6, 10, 200)
        found = suggest(framed(lr, np.array([valley(center)(value) for value in lr])))
        assert center < found.low < found.lr < found.high < 100 * center

    def test_a_fall_after_the_loss_has_blown_up_does_not_count(self):
        lr = np.geomspace(1e-6, 10, 60)
        loss = np.array([valley(1e-4)(value) for value in lr])
        loss[55:] = 1.5
        assert suggest(framed(lr, loss)).high < 1e-2

    @pytest.mark.parametrize("steps", [100, 40])
    @pytest.mark.parametrize("noise", [0.05, 0.2])
    def test_the_noise_of_single_batches_moves_it_little(self, steps, noise):
        def step(random: np.random.Generator, lr: float) -> float:
            return valley(2e-3)(lr) * random.normal(1, noise)

        batches = [np.random.default_rng(seed) for seed in range(40)]
        found = [suggest(range_test(partial(step, random), steps=steps)).lr for random in batches]
        assert min(found) > 2e-3 and max(found) < 0.2

    def test_a_loss_that_never_rises_is_good_to_the_end(self):
        lr = np.geomspace(1e-6, 10, 100)
        found = suggest(framed(lr, np.array([sigmoid_fall(1e-2, 0.5)(value) for value in lr])))
        assert found.high == lr[-1] and 1e-2 < found.low < 0.2
        assert found.lr == pytest.approx(math.sqrt(found.low * found.high))

    def test_a_loss_that_only_rises_is_one_sentence(self):
        frame = range_test(lambda lr: 1 + lr, 1e-3, 1.0, 30)
        with pytest.raises(UserError, match="fell at no learning rate"):
            suggest(frame)

    def test_too_few_points_are_one_sentence(self):
        with pytest.raises(UserError, match="ended after 3 steps"):
            suggest(range_test(lambda lr: 1.0, steps=3))

    def test_a_network_trained_at_the_suggestion_learns(self):
        """Linear regression, for which rates above 2 / the largest eigenvalue diverge."""
        torch.manual_seed(0)
        inputs = torch.randn(256, 8)
        targets = inputs @ torch.randn(8, 1)

        def stepper(model: nn.Module):
            optimizer = torch.optim.SGD(model.parameters(), lr=0)

            def step(lr: float) -> float:
                optimizer.param_groups[0]["lr"] = lr
                loss = (model(inputs) - targets).square().mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                return loss.item()

            return step

        frame = range_test(stepper(nn.Linear(8, 1)), 1e-5, 10, 100)
        assert len(frame) < 100, "it diverged, and the test ended"
        found = suggest(frame).lr
        diverges = 1 / torch.linalg.eigvalsh(inputs.T @ inputs / len(inputs)).max().item()
        assert 1e-3 < found < diverges
        step = stepper(nn.Linear(8, 1))
        losses = [step(found) for _ in range(300)]
        assert losses[-1] < 0.05 * losses[0]


@pytest.mark.parametrize("suggestion", [Suggestion(lr=0.01, low=0.001, high=0.1), None])
@pytest.mark.parametrize("loss", [sigmoid_fall(0.01), lambda lr: 1.0])
def test_the_picture_is_a_png_of_some_size(tmp_path, suggestion, loss):
    path = plot_range_test(range_test(loss, steps=20), suggestion, tmp_path / "lr.png")
    with Image.open(path) as picture:
        assert picture.format == "PNG" and picture.width > 300
        assert len(picture.convert("RGB").getcolors(1 << 24)) > 10, "something is drawn"


def test_a_test_without_a_single_finite_loss_has_a_picture_too(tmp_path):
    path = plot_range_test(range_test(lambda lr: math.nan), None, tmp_path / "lr.png")
    assert path.stat().st_size > 0
