"""Parameter groups: which learning rate and weight decay each part of a network gets."""

from dataclasses import dataclass

from timm.optim import param_groups_layer_decay
from torch import nn, optim

from pipeline.config import TrainConfig


@dataclass(frozen=True)
class Group:
    """One optimiser group, named for people. `scale` is relative to the config's learning rate."""

    name: str
    parameters: list[nn.Parameter]
    scale: float
    weight_decay: float


def parameter_groups(model: nn.Module, config: TrainConfig) -> list[Group]:
    """Split a timm model's trainable parameters by head or backbone, layer depth, and whether they decay.

    Biases and norm parameters (one dimension), and what the model itself exempts, do not decay. The backbone
    learns at ``backbone_lr_scale``; below the head each layer is slower by ``layer_decay`` (BEiT, arXiv
    2106.08254).
    """
    head = _head_ids(model)
    exempt = model.no_weight_decay() if hasattr(model, "no_weight_decay") else set()
    layered = param_groups_layer_decay(
        model, config.weight_decay, no_weight_decay_list=exempt, layer_decay=config.layer_decay
    )
    merged: dict[tuple[str, float, float], list[nn.Parameter]] = {}
    for group in layered:
        for parameter in group["params"]:
            part = "head" if id(parameter) in head else "backbone"
            scale = 1.0 if part == "head" else config.backbone_lr_scale * group["lr_scale"]
            merged.setdefault((part, scale, group["weight_decay"]), []).append(parameter)
    return [Group(part, parameters, scale, decay) for (part, scale, decay), parameters in merged.items()]


def _head_ids(model: nn.Module) -> set[int]:
    classifier = model.get_classifier()
    heads = classifier if isinstance(classifier, tuple | list) else (classifier,)
    return {id(parameter) for head in heads for parameter in head.parameters()}


def build_optimizer(groups: list[Group], config: TrainConfig) -> optim.Optimizer:
    """SGD with Nesterov momentum or AdamW over `groups`."""
    described = [
        {
            "params": group.parameters,
            "lr": config.lr * group.scale,
            "weight_decay": group.weight_decay,
            "name": group.name,
        }
        for group in groups
    ]
    if config.optimizer == "adamw":
        return optim.AdamW(described, lr=config.lr)
    return optim.SGD(described, lr=config.lr, momentum=config.momentum, nesterov=config.momentum > 0)


def describe_groups(groups: list[Group], config: TrainConfig) -> list[str]:
    """One line a group: how many parameters, which learning rate and weight decay."""
    return [
        f"{group.name}: {sum(parameter.numel() for parameter in group.parameters):,} parameters, "
        f"lr {config.lr * group.scale:.3g}, weight decay {group.weight_decay:.3g}"
        for group in groups
    ]
