"""Losses of classes that exclude one another, against the papers, torch, torchvision and timm."""

import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight
from timm.loss.binary_cross_entropy import BinaryCrossEntropy
from torchvision.ops import sigmoid_focal_loss

from pipeline.tasks.class_losses import ClassTrainConfig, class_loss, predicting, weights_of

LOGITS = torch.tensor([[2.0, 1.0, 0.1], [-1.0, 0.5, 3.0], [0.0, 0.0, 0.0]])
LABELS = torch.tensor([0, 1, 2])
SHARES = torch.tensor([[0.7, 0.2, 0.1], [0.0, 0.5, 0.5], [0.0, 0.0, 1.0]])
RARE = torch.tensor([0] * 6 + [1] * 3 + [2])
"""What is learned from: ten images, of which one is of the last class."""
LOSSES = ["ce", "bce", "focal", "symmetric_ce"]


def loss_of(logits=LOGITS, targets=LABELS, learned=RARE, **options) -> torch.Tensor:
    return class_loss(ClassTrainConfig(**options), learned)(logits, targets)


@pytest.mark.parametrize("targets", [LABELS, SHARES])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
class TestAgainstLibraries:
    def test_cross_entropy_is_torchs(self, targets, smoothing):
        expected = F.cross_entropy(LOGITS, targets, label_smoothing=smoothing)
        torch.testing.assert_close(loss_of(targets=targets, label_smoothing=smoothing), expected)

    def test_with_equally_many_images_of_each_class_weights_change_nothing(self, targets, smoothing):
        for weights in ("balanced", "effective"):
            found = loss_of(targets=targets, learned=LABELS, label_smoothing=smoothing, class_weights=weights)
            torch.testing.assert_close(found, F.cross_entropy(LOGITS, targets, label_smoothing=smoothing))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_binary_cross_entropy_is_timms(smoothing):
    expected = BinaryCrossEntropy(smoothing=smoothing)(LOGITS, LABELS)
    torch.testing.assert_close(loss_of(loss="bce", label_smoothing=smoothing), expected)


def test_focal_of_two_classes_is_torchvisions_of_their_difference():
    odds = torch.tensor([-2.0, 0.3, 4.0])
    logits, labels = torch.stack([torch.zeros(3), odds], dim=1), torch.tensor([0, 1, 1])
    expected = sigmoid_focal_loss(odds, labels.float(), alpha=-1, gamma=2, reduction="mean")
    torch.testing.assert_close(loss_of(logits, labels, loss="focal"), expected)


def test_symmetric_cross_entropy_is_the_papers_equation():
    """Equation 7 with the logarithm of 0 as -4: the reverse part is 4 times what other classes got."""
    given = LOGITS.softmax(dim=1)[range(3), LABELS]
    expected = (0.1 * -given.log() + 1.0 * 4 * (1 - given)).mean()
    torch.testing.assert_close(loss_of(loss="symmetric_ce"), expected)


@pytest.mark.parametrize("loss", LOSSES)
class TestEveryLoss:
    def test_a_label_is_the_share_of_one_class(self, loss):
        """To rounding: torch computes an index and a share in different orders."""
        torch.testing.assert_close(
            loss_of(loss=loss), loss_of(targets=F.one_hot(LABELS, 3).float(), loss=loss)
        )

    def test_an_image_counts_by_the_weight_of_its_class(self, loss):
        weights = weights_of(RARE.bincount(), effective=False)
        single = [
            loss_of(LOGITS[[row]], LABELS[[row]], loss=loss) * weights[label]
            for row, label in enumerate(LABELS.tolist())
        ]
        torch.testing.assert_close(loss_of(loss=loss, class_weights="balanced"), torch.stack(single).mean())

    def test_it_is_finite_with_finite_gradients_where_the_network_is_sure_and_wrong(self, loss):
        logits = torch.tensor([[200.0, -200.0, 0.0]], requires_grad=True)
        value = loss_of(logits, torch.tensor([1]), loss=loss, class_weights="effective")
        value.backward()
        assert value.isfinite() and logits.grad is not None and logits.grad.isfinite().all()

    def test_learning_shares_ends_nearer_to_them(self, loss):
        logits = torch.zeros(3, 3, requires_grad=True)
        loss_of(logits, SHARES, loss=loss).backward()
        assert logits.grad is not None
        assert ((-logits.grad).argmax(dim=1) == SHARES.argmax(dim=1))[[0, 2]].all()


class TestWeights:
    def test_balanced_ones_are_scikit_learns(self):
        expected = compute_class_weight("balanced", classes=np.arange(3), y=RARE.numpy())
        np.testing.assert_allclose(weights_of(RARE.bincount(), effective=False), expected, rtol=1e-6)

    def test_effective_numbers_are_the_papers(self):
        """Few images count as themselves; a class of very many as 1 / (1 - beta) = 1000."""
        few = weights_of(torch.tensor([2, 1]), effective=True)
        assert float(few[1] / few[0]) == pytest.approx((1 - 0.999**2) / (1 - 0.999), rel=1e-6)
        many = weights_of(torch.tensor([10**6, 10**5]), effective=True)
        assert float(many[1] / many[0]) == pytest.approx(1, rel=1e-6)

    @given(
        counts=st.lists(st.integers(0, 10**6), min_size=2, max_size=9).filter(any), effective=st.booleans()
    )
    def test_their_mean_over_images_is_1_and_rarer_classes_weigh_no_less(self, counts, effective):
        weights = weights_of(torch.tensor(counts), effective)
        assert sum(w * n for w, n in zip(weights.tolist(), counts, strict=True)) / sum(
            counts
        ) == pytest.approx(1, rel=1e-4)
        there = sorted((n, w) for n, w in zip(counts, weights.tolist(), strict=True) if n)
        assert all(a[1] >= b[1] for a, b in itertools.pairwise(there))

    def test_shares_count_as_parts_of_images(self):
        found = loss_of(targets=SHARES, learned=SHARES, loss="focal", class_weights="balanced")
        assert found.isfinite()
        torch.testing.assert_close(
            loss_of(learned=F.one_hot(RARE).float(), class_weights="balanced"),
            loss_of(class_weights="balanced"),
        )

    def test_a_last_class_that_nothing_is_learned_of_weighs_1(self):
        assert loss_of(learned=torch.tensor([0, 0, 1, 1]), class_weights="balanced").isfinite()


def test_after_bce_probabilities_are_the_classes_own_over_their_sum():
    outputs = torch.tensor([[math.log(3), math.log(1 / 3)]])  # 3/4 and 1/4: of a softmax it would be 9/10
    model = predicting(torch.nn.Identity(), ClassTrainConfig(loss="bce"))
    assert torch.equal(model.train()(outputs), outputs)
    torch.testing.assert_close(model.eval()(outputs).softmax(dim=1), torch.tensor([[0.75, 0.25]]))
    plain = predicting(torch.nn.Identity(), ClassTrainConfig(loss="ce"))
    assert torch.equal(plain.eval()(outputs), outputs)
