"""Losses of values scaled to 0..1 against their definitions."""

import math

import pytest
import torch
import torch.nn.functional as F

from pipeline.tasks.regression.losses import FLOOR, LOSSES, bce, laplace, mae, mse, smooth_l1, spread_of

OUTPUTS = torch.tensor([[2.0, -1.0], [0.0, 0.5], [-4.0, 3.0]])
TARGETS = torch.tensor([[0.7, 0.0], [0.5, 1.0], [0.1, 0.9]])
OFF = OUTPUTS.sigmoid() - TARGETS


def test_mse_and_mae_are_the_mean_distances_of_the_sigmoid():
    torch.testing.assert_close(mse(OUTPUTS, TARGETS), OFF.square().mean())
    torch.testing.assert_close(mae(OUTPUTS, TARGETS), OFF.abs().mean())


def test_smooth_l1_is_squared_up_to_a_tenth_of_the_range():
    expected = torch.where(OFF.abs() < 0.1, OFF.square() / 0.2, OFF.abs() - 0.05).mean()
    torch.testing.assert_close(smooth_l1(OUTPUTS, TARGETS), expected)


def test_bce_takes_the_value_as_a_soft_target():
    torch.testing.assert_close(bce(OUTPUTS, TARGETS), F.binary_cross_entropy(OUTPUTS.sigmoid(), TARGETS))


def test_laplace_is_the_negative_log_likelihood():
    spreads = torch.tensor([[0.0, -2.0], [-9.0, 1.0], [3.0, 0.5]])
    law = torch.distributions.Laplace(OUTPUTS.sigmoid(), spread_of(spreads))
    found = laplace(torch.cat([OUTPUTS, spreads], dim=1), TARGETS)
    torch.testing.assert_close(found, -law.log_prob(TARGETS).mean())


def test_laplace_is_least_where_the_spread_is_the_distance():
    spreads = torch.linspace(-8, 2, 400)
    off = 0.2
    outputs = torch.stack([torch.zeros(400), spreads], dim=1)
    losses = torch.stack([laplace(row[None], torch.full((1, 1), 0.5 + off)) for row in outputs])
    assert spread_of(spreads)[losses.argmin()].item() == pytest.approx(off, abs=0.01)


@pytest.mark.parametrize("size", [-200.0, 200.0])
@pytest.mark.parametrize("name", LOSSES)
def test_outputs_of_any_size_have_a_finite_loss_and_gradient(name, size):
    count = 2 if name == "laplace" else 1
    outputs = torch.full((1, count), size, requires_grad=True)
    value = LOSSES[name](outputs, torch.full((1, 1), 0.3))
    value.backward()
    assert outputs.grad is not None
    assert value.isfinite() and outputs.grad.isfinite().all()


def test_spreads_are_above_0():
    assert spread_of(torch.tensor([-1e4, 0.0])).tolist() == pytest.approx([FLOOR, math.log(2) + FLOOR])
