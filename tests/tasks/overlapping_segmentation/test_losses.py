"""Losses of masks that may overlap: against definitions, with ignored pixels, and without any that counts."""

import pytest
import torch
import torch.nn.functional as F

from pipeline.base.errors import UserError
from pipeline.tasks.overlapping_segmentation.losses import (
    BinaryCrossEntropy,
    Focal,
    LovaszHinge,
    Tversky,
    build_loss,
)

ALL = [BinaryCrossEntropy(), BinaryCrossEntropy(3.0), Focal(), Tversky(), Tversky(0.7), LovaszHinge()]


def example() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 6, 7, generator=generator, requires_grad=True)
    targets = torch.randint(0, 2, (2, 3, 6, 7), generator=generator, dtype=torch.uint8)
    targets[torch.rand(2, 3, 6, 7, generator=generator) < 0.25] = 255
    return logits, targets


@pytest.mark.parametrize("loss", ALL)
def test_ignored_pixels_change_nothing_and_have_no_gradient(loss):
    logits, targets = example()
    loss(logits, targets).backward()
    assert logits.grad is not None and (logits.grad[targets == 255] == 0).all()
    assert logits.grad.abs().sum() > 0
    moved = torch.where(targets == 255, logits + 5, logits)
    torch.testing.assert_close(loss(moved, targets), loss(logits, targets))


@pytest.mark.parametrize("loss", ALL[:3] + ALL[5:])
def test_without_a_pixel_that_counts_the_loss_is_zero(loss):
    logits, targets = example()
    value = loss(logits, torch.full_like(targets, 255))
    value.backward()
    assert value.item() == 0 and (logits.grad == 0).all()


@pytest.mark.parametrize("loss", ALL)
def test_the_right_answer_has_the_smallest_loss(loss):
    _, targets = example()
    right = 20.0 * (2 * (targets == 1).float() - 1)
    assert loss(right, targets) < 0.01 < loss(-right, targets)


def test_cross_entropy_and_focal_are_torch_s_over_the_pixels_that_count():
    logits, targets = example()
    counted = targets != 255
    pixels, truth = logits[counted], targets[counted].float()
    expected = F.binary_cross_entropy_with_logits(pixels, truth)
    torch.testing.assert_close(BinaryCrossEntropy()(logits, targets), expected)
    torch.testing.assert_close(Focal(gamma=0.0)(logits, targets), expected)
    weighted = F.binary_cross_entropy_with_logits(pixels, truth, pos_weight=torch.tensor(3.0))
    torch.testing.assert_close(BinaryCrossEntropy(3.0)(logits, targets), weighted)


def test_dice_of_an_empty_class_grows_with_what_is_found_where_nothing_is():
    targets = torch.zeros(1, 1, 10, 10, dtype=torch.uint8)
    nothing, some = torch.full((1, 1, 10, 10), -20.0), torch.full((1, 1, 10, 10), 0.0)
    assert Tversky()(nothing, targets) < 1e-4 and Tversky()(some, targets) > 0.9


def test_tversky_weighs_missed_pixels_as_it_is_told():
    targets = torch.zeros(1, 1, 20, 20, dtype=torch.uint8)
    targets[..., :10] = 1
    missed = torch.where(targets.bool() & (torch.arange(20) > 4), -20.0, 40.0 * targets - 20)
    spurious = torch.where(torch.arange(20) < 15, 20.0, -20.0).expand(1, 1, 20, 20)
    assert Tversky(0.8)(missed, targets) > Tversky(0.2)(missed, targets)
    assert Tversky(0.8)(spurious, targets) < Tversky(0.2)(spurious, targets)
    # 50 of 100 are missed: 50 / (50 + 0.8 * 50) of the index, twice 50 pixels smoothed by one.
    half = torch.where(torch.arange(20) < 5, 20.0, -20.0).expand(1, 1, 20, 20)
    expected = 1 - (2 * 100 + 1) / (2 * (100 + 0.8 * 100) + 1)
    torch.testing.assert_close(Tversky(0.8)(half, targets), torch.tensor(expected))


def test_sums_and_unknown_names():
    logits, targets = example()
    total = build_loss("bce + 0.5*dice")(logits, targets)
    torch.testing.assert_close(
        total, BinaryCrossEntropy()(logits, targets) + 0.5 * Tversky()(logits, targets)
    )
    with pytest.raises(UserError, match=r"no loss is called 'dise'.*did you mean dice"):
        build_loss("dise")
