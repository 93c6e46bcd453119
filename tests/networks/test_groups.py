"""Every trainable parameter gets one learning rate and one weight decay: the ones that were asked for."""

import functools

import pytest
import timm
import torch
from torch import nn

from pipeline.networks.build import build_classifier
from pipeline.networks.freeze import flat_name
from pipeline.networks.groups import build_optimizer, describe_groups, parameter_groups
from pipeline.tasks.classification.config import ModelConfig, TrainConfig

NAMES = ("podium_cifarnet", "resnet18", "mobilenetv2_100", "vit_tiny_patch16_224")


@functools.cache
def network(name: str) -> nn.Module:
    return build_classifier(ModelConfig(name=name), num_classes=10)


def rates(model: nn.Module, config: TrainConfig) -> dict[str, tuple[float, float]]:
    """(learning rate scale, weight decay) by parameter name."""
    groups = parameter_groups(model, config)
    of = {
        id(parameter): (group.scale, group.weight_decay) for group in groups for parameter in group.parameters
    }
    return {name: of[id(parameter)] for name, parameter in model.named_parameters() if id(parameter) in of}


def head_names(model: nn.Module) -> set[str]:
    own = {id(parameter) for parameter in model.get_classifier().parameters()}
    return {name for name, parameter in model.named_parameters() if id(parameter) in own}


@pytest.mark.parametrize("layer_decay", [1.0, 0.7])
@pytest.mark.parametrize("name", NAMES)
def test_every_trainable_parameter_is_in_exactly_one_group(name, layer_decay):
    model = network(name)
    config = TrainConfig(backbone_lr_scale=0.1, layer_decay=layer_decay)
    grouped = [id(p) for group in parameter_groups(model, config) for p in group.parameters]
    assert len(grouped) == len(set(grouped))
    assert set(grouped) == {id(p) for p in model.parameters() if p.requires_grad}


@pytest.mark.parametrize("name", NAMES)
def test_biases_and_norms_do_not_decay_and_everything_else_does(name):
    model = network(name)
    found = rates(model, TrainConfig(weight_decay=0.05))
    exempt = model.no_weight_decay() if hasattr(model, "no_weight_decay") else set()
    norms = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm)
    of_norms = {
        f"{prefix}.{own}"
        for prefix, module in model.named_modules()
        if isinstance(module, norms)
        for own, _ in module.named_parameters(recurse=False)
    }
    assert of_norms, "the test looked at something"
    for parameter_name, (_, decay) in found.items():
        free = parameter_name in of_norms or parameter_name.endswith("bias") or parameter_name in exempt
        assert decay == (0 if free else 0.05), parameter_name


def test_a_transformers_position_embedding_does_not_decay():
    found = rates(network("vit_tiny_patch16_224"), TrainConfig(weight_decay=0.05))
    assert found["pos_embed"][1] == found["cls_token"][1] == 0


@pytest.mark.parametrize("name", NAMES)
def test_the_backbone_learns_at_the_share_asked_for(name):
    model = network(name)
    found = rates(model, TrainConfig(backbone_lr_scale=0.1))
    head = head_names(model)
    assert head
    assert {parameter: scale for parameter, (scale, _) in found.items()} == {
        parameter: (1.0 if parameter in head else 0.1) for parameter in found
    }


@pytest.mark.parametrize("name", NAMES)
def test_with_layer_decay_rates_fall_from_the_head_to_the_input(name):
    model = network(name)
    found = rates(model, TrainConfig(layer_decay=0.5))
    head = head_names(model)
    scales = [scale for parameter, (scale, _) in found.items() if parameter not in head]
    in_blocks = [
        scale for parameter, (scale, _) in found.items() if parameter.startswith(("blocks.", "layer"))
    ]
    assert in_blocks == sorted(in_blocks), "from the input on, no block is slower than the one before"
    assert min(scales) < max(scales) <= 1 and len(set(scales)) >= 3
    assert {found[parameter][0] for parameter in head} == {1.0}
    assert all(scale in {0.5**power for power in range(60)} for scale in scales)


def test_layer_decay_and_the_backbones_share_multiply():
    alone = rates(network("resnet18"), TrainConfig(layer_decay=0.5))["conv1.weight"][0]
    both = rates(network("resnet18"), TrainConfig(layer_decay=0.5, backbone_lr_scale=0.1))["conv1.weight"][0]
    assert both == pytest.approx(0.1 * alone)


def test_frozen_parameters_are_in_no_group():
    model = build_classifier(ModelConfig(name="resnet18"), 10)
    model.layer1.requires_grad_(False)
    found = rates(model, TrainConfig())
    assert found and not any(name.startswith("layer1") for name in found)
    assert not any(name.startswith("whiten") for name in rates(network("podium_cifarnet"), TrainConfig()))


class TestOptimizer:
    @pytest.mark.parametrize("kind, made", [("sgd", torch.optim.SGD), ("adamw", torch.optim.AdamW)])
    def test_its_groups_carry_the_rates(self, kind, made):
        config = TrainConfig(optimizer=kind, lr=0.2, momentum=0.8, weight_decay=0.05, backbone_lr_scale=0.1)
        groups = parameter_groups(network("resnet18"), config)
        optimizer = build_optimizer(groups, config)
        assert type(optimizer) is made
        for described, group in zip(groups, optimizer.param_groups, strict=True):
            assert group["lr"] == pytest.approx(0.2 * described.scale)
            assert group["weight_decay"] == described.weight_decay
            assert group["name"] == described.name
        if kind == "sgd":
            assert optimizer.defaults["momentum"] == 0.8 and optimizer.defaults["nesterov"]

    def test_sgd_without_momentum(self):
        config = TrainConfig(optimizer="sgd", momentum=0)
        optimizer = build_optimizer(parameter_groups(network("resnet18"), config), config)
        # torch refuses Nesterov's method without momentum.
        assert optimizer.defaults["momentum"] == 0 and not optimizer.defaults["nesterov"]

    def test_decay_shrinks_weights_and_leaves_biases_and_norms(self):
        """One step with zero gradients: what moves is what decays."""
        model = build_classifier(ModelConfig(name="resnet18"), 10)
        config = TrainConfig(lr=0.1, weight_decay=0.1, momentum=0)
        before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        build_optimizer(parameter_groups(model, config), config).step()
        for name, parameter in model.named_parameters():
            factor = 1.0 if parameter.ndim == 1 else 0.99
            torch.testing.assert_close(parameter.detach(), before[name] * factor)


def test_groups_are_described_with_count_rate_and_decay():
    config = TrainConfig(lr=0.2, weight_decay=5e-4, backbone_lr_scale=0.1)
    lines = describe_groups(parameter_groups(network("resnet18"), config), config)
    assert "head: 5,120 parameters, lr 0.2, weight decay 0.0005" in lines
    assert "head: 10 parameters, lr 0.2, weight decay 0" in lines
    assert (
        len(lines) == 4 and sum(line.startswith("backbone: ") and "lr 0.02," in line for line in lines) == 2
    )


class Segmenter(nn.Module):
    """A timm encoder with a decoder and a head of two parts."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.encoder = timm.create_model(name, features_only=True)
        self.decoder, self.neck, self.out = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 2, 1)

    @property
    def backbone(self) -> nn.Module:
        return self.encoder

    def get_classifier(self) -> tuple[nn.Module, ...]:
        return self.neck, self.out


class TestEncoders:
    @pytest.mark.parametrize("name", ["resnet18", "mobilenetv2_100", "convnext_atto", "vit_tiny_patch16_224"])
    def test_all_that_is_not_pretrained_learns_at_the_heads_rate(self, name):
        model = Segmenter(name)
        found = rates(model, TrainConfig(backbone_lr_scale=0.1))
        assert set(found) == {parameter for parameter, _ in model.named_parameters()}
        for parameter, (scale, _) in found.items():
            assert scale == (0.1 if parameter.startswith("encoder.") else 1.0), parameter

    @pytest.mark.parametrize("name", ["resnet18", "mobilenetv2_100", "convnext_atto", "vit_tiny_patch16_224"])
    def test_each_layer_has_the_rate_and_decay_it_has_in_the_classifier(self, name):
        """Fully counted: the encoder calls layers by other names, and lacks the classifier's head."""
        config = TrainConfig(layer_decay=0.8, weight_decay=0.05)
        of_classifier = {
            flat_name(key): value for key, value in rates(timm.create_model(name), config).items()
        }
        found = rates(Segmenter(name), config)
        in_encoder = {k.removeprefix("encoder."): v for k, v in found.items() if k.startswith("encoder.")}
        assert len(in_encoder) > 20
        for parameter, value in in_encoder.items():
            assert value == pytest.approx(of_classifier[flat_name(parameter)]), parameter
        assert {found[key] for key in ("decoder.weight", "neck.weight", "out.weight")} == {(1.0, 0.05)}


def test_what_is_in_no_group_is_counted():
    model = network("podium_cifarnet")
    lines = describe_groups(parameter_groups(model, TrainConfig()), TrainConfig(), model)
    whitening = sum(parameter.numel() for parameter in model.whiten.parameters())
    assert lines[-1] == f"frozen: {whitening:,} parameters"
    model = network("resnet18")
    lines = describe_groups(parameter_groups(model, TrainConfig()), TrainConfig(), model)
    assert not any(line.startswith("frozen") for line in lines)
