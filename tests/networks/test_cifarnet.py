"""The small network of our own."""

import copy

import pytest
import timm
import torch

from pipeline.networks.cifarnet import CifarNet
from pipeline.networks.groups import build_optimizer, parameter_groups
from pipeline.tasks.classification.config import TrainConfig


def smooth_images(count: int = 200, seed: int = 0) -> torch.Tensor:
    """Normalised images whose neighbouring pixels and channels are correlated, as in photographs."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(count, 3, 18, 18, generator=generator)
    images = torch.nn.functional.avg_pool2d(coarse, 3, stride=1, padding=1)
    mix = torch.tensor([[1.0, 0.6, 0.3], [0.0, 0.8, 0.5], [0.0, 0.0, 0.7]])
    return 5 * torch.einsum("dc,nchw->ndhw", mix, images)


def second_moment(features: torch.Tensor) -> torch.Tensor:
    rows = features.permute(1, 0, 2, 3).flatten(1).double()
    return rows @ rows.T / rows.shape[1]


@pytest.mark.parametrize("name", ["podium_cifarnet", "podium_cifarnet_wide"])
def test_it_is_a_timm_name_like_any_other(name):
    model = timm.create_model(name, num_classes=7)
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 7)
    assert model.pretrained_cfg["input_size"] == (3, 32, 32)
    assert model.get_classifier() is model.head


@pytest.mark.parametrize("name, millions", [("podium_cifarnet", 0.5), ("podium_cifarnet_wide", 2.0)])
def test_its_size_is_what_its_docstring_says(name, millions):
    count = sum(parameter.numel() for parameter in timm.create_model(name).parameters())
    assert round(count / 1e6, 1) == millions


class TestWhitening:
    @pytest.fixture
    def model(self) -> CifarNet:
        model = CifarNet()
        model.init_from_images(smooth_images())
        return model

    def test_patches_come_out_with_nearly_identity_covariance(self, model):
        """12 filters for the 12 directions of a 2 x 2 RGB patch, and the same 12 negated."""
        images = smooth_images()
        raw = second_moment(torch.nn.functional.unfold(images, 2).unflatten(2, (17, 17)))
        assert (raw - raw.diagonal().diag()).abs().max() > 0.1, "the input is correlated"
        with torch.no_grad():
            whitened = model.whiten(images)
        eye = torch.eye(12, dtype=torch.double)
        torch.testing.assert_close(second_moment(whitened[:, :12]), eye, atol=0.02, rtol=0)
        torch.testing.assert_close(whitened[:, 12:], -whitened[:, :12])

    def test_it_holds_for_images_it_has_not_seen(self, model):
        with torch.no_grad():
            moment = second_moment(model.whiten(smooth_images(seed=1))[:, :12])
        torch.testing.assert_close(moment, torch.eye(12, dtype=torch.double), atol=0.06, rtol=0)

    def test_one_colour_throughout_gives_finite_filters(self):
        model = CifarNet()
        model.init_from_images(torch.zeros(4, 3, 8, 8))
        assert model.whiten.weight.isfinite().all()

    def test_it_is_frozen_while_the_rest_learns(self, model):
        before = copy.deepcopy(model.state_dict())
        config = TrainConfig(lr=0.1, weight_decay=0.1)
        optimizer = build_optimizer(parameter_groups(model, config), config)
        model(smooth_images(8)).square().mean().backward()
        optimizer.step()
        assert model.whiten.weight.grad is None and model.whiten.bias.grad is None
        assert not any(parameter.requires_grad for parameter in model.whiten.parameters())
        assert all(
            p.grad is not None for name, p in model.named_parameters() if not name.startswith("whiten")
        )
        unchanged = {name for name, value in model.state_dict().items() if torch.equal(value, before[name])}
        assert unchanged == {"whiten.weight", "whiten.bias"}

    def test_it_travels_in_the_state_dict(self, model):
        other = CifarNet()
        other.load_state_dict(model.state_dict())
        images = smooth_images(2)
        assert torch.equal(other.eval()(images), model.eval()(images))


def test_the_seed_decides_the_weights_and_the_output():
    outputs = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        model = CifarNet().eval()
        model.init_from_images(smooth_images())
        outputs.append(model(smooth_images(4)))
    assert torch.equal(outputs[0], outputs[1]) and not torch.equal(outputs[0], outputs[2])


def test_convolutions_start_as_identity_on_the_channels_that_have_one():
    """The first 24 of the first block's 32 filters pass one channel each; the rest are random."""
    weight = CifarNet().blocks[0][0].weight
    expected = torch.zeros(24, 24, 3, 3)
    expected[range(24), range(24), 1, 1] = 1
    assert torch.equal(weight[:24], expected)
    assert (weight[24:] != 0).all()


def test_dropout_acts_in_training_alone():
    model = CifarNet(drop_rate=0.5)
    images = smooth_images(2)
    model.eval()
    assert torch.equal(model(images), model(images))
    model.train()
    assert not torch.equal(model(images), model(images))


def test_the_head_can_be_replaced():
    model = CifarNet(num_classes=10)
    model.reset_classifier(3)
    assert model(torch.zeros(1, 3, 32, 32)).shape == (1, 3) and model.num_classes == 3
