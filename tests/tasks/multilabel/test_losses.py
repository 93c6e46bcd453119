"""Losses of independent labels against their definitions."""

import math

import pytest
import torch
import torch.nn.functional as F

from pipeline.tasks.multilabel.losses import Asymmetric, BinaryCrossEntropy, Focal, positive_weights

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [-3.0, 0.0, 4.0]])
TARGETS = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]])


def logit(probability: float) -> torch.Tensor:
    """The output (1, 1) of a network that is so sure of one label of one image."""
    return torch.tensor([[math.log(probability / (1 - probability))]])


HAS, LACKS = torch.ones(1, 1), torch.zeros(1, 1)


class TestBinaryCrossEntropy:
    def test_it_is_torchs(self):
        expected = F.binary_cross_entropy(LOGITS.sigmoid(), TARGETS)
        torch.testing.assert_close(BinaryCrossEntropy()(LOGITS, TARGETS), expected)

    def test_smoothing_moves_targets_towards_one_half(self):
        expected = F.binary_cross_entropy(LOGITS.sigmoid(), torch.where(TARGETS == 1, 0.9, 0.1))
        torch.testing.assert_close(BinaryCrossEntropy(label_smoothing=0.2)(LOGITS, TARGETS), expected)

    def test_weights_count_the_positives_of_their_label(self):
        weights = torch.tensor([3.0, 1.0, 0.5])
        weight_of_cell = torch.where(TARGETS == 1, weights, 1.0)
        expected = F.binary_cross_entropy(LOGITS.sigmoid(), TARGETS, weight=weight_of_cell)
        torch.testing.assert_close(BinaryCrossEntropy(positive_weights=weights)(LOGITS, TARGETS), expected)


class TestFocal:
    def test_with_gamma_0_it_is_cross_entropy(self):
        torch.testing.assert_close(Focal(gamma=0)(LOGITS, TARGETS), BinaryCrossEntropy()(LOGITS, TARGETS))

    @pytest.mark.parametrize(
        ("probability", "target", "expected"),
        [
            (0.9, HAS, 0.1**2 * -math.log(0.9)),
            (0.1, HAS, 0.9**2 * -math.log(0.1)),
            (0.2, LACKS, 0.2**2 * -math.log(0.8)),
        ],
    )
    def test_what_is_right_loses_its_weight_by_a_square(self, probability, target, expected):
        assert Focal()(logit(probability), target).item() == pytest.approx(expected, rel=1e-5)


class TestAsymmetric:
    """Equations 4 to 7 of arXiv 2009.14119, with its gammas 4 and 1 and its margin 0.05."""

    @pytest.mark.parametrize(
        ("probability", "target", "expected"),
        [
            (0.8, HAS, 0.2 * -math.log(0.8)),
            (0.1, HAS, 0.9 * -math.log(0.1)),
            (0.55, LACKS, 0.5**4 * -math.log(0.5)),
            (0.95, LACKS, 0.9**4 * -math.log(0.1)),
            (0.05, LACKS, 0.0),
            (0.01, LACKS, 0.0),
        ],
    )
    def test_one_label(self, probability, target, expected):
        assert Asymmetric()(logit(probability), target).item() == pytest.approx(expected, rel=1e-4, abs=1e-9)

    def test_a_negative_below_the_margin_pulls_at_nothing(self):
        output = logit(0.03).requires_grad_()
        Asymmetric()(output, LACKS).backward()
        assert output.grad is not None and output.grad.item() == 0

    def test_without_gammas_and_margin_it_is_cross_entropy(self):
        plain = Asymmetric(gamma_negative=0, gamma_positive=0, margin=0)
        torch.testing.assert_close(plain(LOGITS, TARGETS), BinaryCrossEntropy()(LOGITS, TARGETS))


@pytest.mark.parametrize("loss", [BinaryCrossEntropy(), BinaryCrossEntropy(0.1), Focal(), Asymmetric()])
@pytest.mark.parametrize("size", [-200.0, 200.0])
def test_outputs_of_any_size_have_a_finite_loss_and_gradient(loss, size):
    for target in (HAS, LACKS):
        output = torch.tensor([[size]], requires_grad=True)
        value = loss(output, target)
        value.backward()
        assert output.grad is not None
        assert value.isfinite() and output.grad.isfinite().all()


class TestPositiveWeights:
    targets = torch.tensor([[1.0, 1, 0, 1], [0, 1, 0, 1], [0, 1, 0, 1], [0, 0, 0, 1], [0, 0, 0, 1]])

    def test_power_1_gives_both_sides_of_a_label_the_same_weight_in_all(self):
        weights = positive_weights(self.targets[:, :2], 1.0)
        assert weights is not None
        torch.testing.assert_close(weights * torch.tensor([1.0, 3.0]), torch.tensor([4.0, 2.0]))

    def test_power_one_half_is_the_root(self):
        weights = positive_weights(self.targets[:, :1], 0.5)
        assert weights is not None and weights.tolist() == [2.0]

    def test_power_0_is_off(self):
        assert positive_weights(self.targets, 0.0) is None

    def test_a_label_that_no_image_or_every_image_has_keeps_its_weight(self):
        weights = positive_weights(self.targets[:, 2:], 1.0)
        assert weights is not None and weights.tolist() == [1.0, 1.0]
