"""Losses of segmentation: against definitions, with ignored pixels, and without any pixel that counts."""

import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F

from pipeline.base.errors import UserError
from pipeline.tasks.segmentation.losses import (
    CrossEntropy,
    Focal,
    LogitAdjusted,
    LovaszSoftmax,
    SoftDice,
    build_loss,
)

ALL = [CrossEntropy(), CrossEntropy(0.1), SoftDice(), Focal(), LovaszSoftmax()]
IDS = ["ce", "smoothed", "dice", "focal", "lovasz"]


def example() -> tuple[torch.Tensor, torch.Tensor]:
    """Logits of 5 classes, of which the targets have 3; a quarter is ignored."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 5, 6, 7, generator=generator, requires_grad=True)
    targets = torch.randint(0, 3, (2, 6, 7), generator=generator)
    targets[torch.rand(2, 6, 7, generator=generator) < 0.25] = 255
    return logits, targets


def counted(logits: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(P, C) logits and (P,) targets of the pixels that count."""
    valid = targets != 255
    return logits.movedim(1, -1)[valid], targets[valid]


@pytest.mark.parametrize("loss", ALL, ids=IDS)
def test_ignored_pixels_change_neither_value_nor_gradient(loss):
    logits, targets = example()
    value = loss(logits, targets)
    (gradient,) = torch.autograd.grad(value, logits)
    other = torch.where((targets == 255)[:, None], torch.full_like(logits, 7.0), logits)
    assert value.shape == () and torch.isfinite(value) and value > 0
    assert torch.equal(loss(other, targets), value)
    assert (gradient.movedim(1, -1)[targets == 255] == 0).all()
    assert (gradient.movedim(1, -1)[targets != 255].abs().sum(1) > 0).any()


@pytest.mark.parametrize("loss", ALL, ids=IDS)
def test_without_any_pixel_that_counts_the_loss_is_zero_and_so_is_its_gradient(loss):
    logits, targets = example()
    value = loss(logits, torch.full_like(targets, 255))
    value.backward()
    assert value.item() == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


@pytest.mark.parametrize("loss", [CrossEntropy(), SoftDice(), Focal(), LovaszSoftmax()])
def test_a_certain_and_right_prediction_costs_nothing_and_a_wrong_one_most(loss):
    _, targets = example()
    right = 50.0 * F.one_hot(targets.where(targets != 255, 0), 5).movedim(-1, 1)
    assert loss(right, targets).item() == pytest.approx(0, abs=1e-5)
    assert loss(right.roll(1, 1), targets).item() > 0.99


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_is_torchs_mean_over_the_pixels_that_count(smoothing):
    logits, targets = example()
    expected = F.cross_entropy(*counted(logits, targets), label_smoothing=smoothing)
    torch.testing.assert_close(CrossEntropy(smoothing)(logits, targets), expected)


def test_dice_is_the_mean_over_the_classes_that_are_there():
    logits, targets = example()
    flat, truth = counted(logits, targets)
    probabilities = flat.softmax(1)
    expected = 0.0
    for value in range(3):
        inside = truth == value
        both = probabilities[inside, value].sum()
        expected += 1 - 2 * both / (probabilities[:, value].sum() + inside.sum())
    torch.testing.assert_close(SoftDice()(logits, targets), expected / 3)


def test_focal_is_its_formula_and_with_gamma_0_cross_entropy():
    logits, targets = example()
    flat, truth = counted(logits, targets)
    p = flat.softmax(1)[torch.arange(len(truth)), truth]
    torch.testing.assert_close(Focal()(logits, targets), (-((1 - p) ** 2) * p.log()).mean())
    torch.testing.assert_close(Focal(0.0)(logits, targets), CrossEntropy()(logits, targets))


def test_lovasz_of_certain_predictions_is_one_minus_the_iou():
    """At the corners of its domain the extension is the set function itself (the paper's definition 1)."""
    _, targets = example()
    predicted = torch.randint(0, 3, targets.shape, generator=torch.Generator().manual_seed(1))
    logits = 100.0 * F.one_hot(predicted, 5).movedim(-1, 1)
    valid = targets != 255
    ious = []
    for value in range(3):
        inside, given = (targets == value) & valid, (predicted == value) & valid
        ious.append(((inside & given).sum() / (inside | given).sum()).item())
    assert LovaszSoftmax()(logits, targets).item() == pytest.approx(1 - sum(ious) / 3, abs=1e-5)


def test_a_sum_is_built_from_its_text():
    logits, targets = example()
    loss = build_loss("ce + 0.5*lovasz+2*dice", label_smoothing=0.1)
    expected = (
        CrossEntropy(0.1)(logits, targets)
        + 0.5 * LovaszSoftmax()(logits, targets)
        + 2 * SoftDice()(logits, targets)
    )
    torch.testing.assert_close(loss(logits, targets), expected)
    torch.testing.assert_close(build_loss("focal")(logits, targets), Focal()(logits, targets))


@pytest.mark.parametrize("text", ["", "ce+", "cross", "dise", "ce*0.5", "2*dice+ce+x"])
def test_an_unknown_loss_is_named(text):
    with pytest.raises(UserError, match="no loss is called"):
        build_loss(text)


@pytest.mark.parametrize("factor", ["0", "-1", "nan", "inf", "x", "", "2*3"])
def test_a_factor_is_a_number_above_0(factor):
    with pytest.raises(UserError, match="no factor"):
        build_loss(f"ce+{factor}*dice")


def test_the_closest_name_is_suggested():
    with pytest.raises(UserError, match="did you mean dice"):
        build_loss("dise")
    assert math.isclose(build_loss("0.25*dice").weights[0], 0.25)


@pytest.mark.parametrize("tau", [0.0, 0.35, 1.0])
def test_logit_adjustment_leaves_that_much_less_of_the_frequencies(tau):
    """Of a network that sees nothing the best logits are log(share); adjusted, (1 - tau) of that."""
    counts = [900, 90, 10]
    targets = torch.arange(3).repeat_interleave(torch.tensor(counts)).view(1, 1, -1)
    logits = torch.zeros(1, 3, 1, 1, requires_grad=True)
    loss = LogitAdjusted(CrossEntropy(), counts, tau)
    optimizer = torch.optim.LBFGS([logits], max_iter=200, line_search_fn="strong_wolfe")

    def step():
        optimizer.zero_grad()
        value = loss(logits.expand(1, 3, 1, 1000), targets)
        value.backward()
        return value

    optimizer.step(step)
    expected = (1 - tau) * torch.tensor(counts).log()
    torch.testing.assert_close(
        (logits - logits[:, :1]).flatten().detach(), expected - expected[0], atol=0.01, rtol=0
    )


def test_losses_that_stand_for_a_measure_are_not_adjusted():
    logits, targets = example()
    adjusted = partial(LogitAdjusted, pixels=[90, 5, 3, 1, 1], tau=0.5)
    built = build_loss("ce+dice+lovasz", adjust=adjusted)(logits, targets)
    parts = [adjusted(CrossEntropy()), SoftDice(), LovaszSoftmax()]
    torch.testing.assert_close(built, sum(part(logits, targets) for part in parts))
    assert not torch.allclose(built, build_loss("ce+dice+lovasz")(logits, targets))


def test_a_class_without_pixels_is_not_made_likely():
    """Its share is 0 and the logarithm of that would let the network predict it at no cost."""
    offsets = LogitAdjusted(CrossEntropy(), [80, 0, 20], 0.5).offsets.flatten()
    torch.testing.assert_close(offsets, torch.tensor([0.0, 0.0, 0.5 * math.log(0.25)]))
