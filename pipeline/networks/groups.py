"""Parameter groups: which learning rate and weight decay each part of a network gets."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from timm.optim import (  # documented names that timm's own package does not list
    create_optimizer_v2,  # pyright: ignore[reportPrivateImportUsage]
    list_optimizers,  # pyright: ignore[reportPrivateImportUsage]
    param_groups_layer_decay,  # pyright: ignore[reportPrivateImportUsage]
)
from torch import nn, optim

from pipeline.base.errors import UserError
from pipeline.config.groups import TrainConfig
from pipeline.networks.freeze import NamedByTimm, frozen_names, head_ids


@dataclass(frozen=True)
class Group:
    """One optimiser group, named for people. `scale` is relative to the config's learning rate."""

    name: str
    parameters: list[nn.Parameter]
    scale: float
    weight_decay: float


def parameter_groups(model: nn.Module, config: TrainConfig) -> list[Group]:
    """Split a network's trainable parameters by head or backbone, layer depth, and whether they decay.

    Biases and norm parameters (one dimension), and what the model itself exempts, do not decay. The backbone
    learns at ``backbone_lr_scale`` (None, which `Config.resolved` settles, is 1); below the head each layer
    is slower by ``layer_decay`` (BEiT, arXiv 2106.08254). Parameters that never learn (``frozen_stages``) are
    in no group, those that join later are. Call it before `pipeline.networks.freeze.set_trainable`.

    Parameters
    ----------
    model : a timm classifier, or anything whose ``backbone`` is a timm network; the rest is its head.

    Raises
    ------
    UserError : ``frozen_stages`` is more than the network has.
    """
    head, never = head_ids(model), frozen_names(model, config)
    left_out = {id(parameter) for name, parameter in model.named_parameters() if name in never}
    named = NamedByTimm(model)
    layered = param_groups_layer_decay(
        named,  # pyright: ignore[reportArgumentType]  # it asks for nothing but names and parameters
        config.weight_decay,
        no_weight_decay_list=named.no_weight_decay(),
        layer_decay=config.layer_decay,
    )
    backbone_scale = 1.0 if config.backbone_lr_scale is None else config.backbone_lr_scale
    merged: dict[tuple[str, float, float], list[nn.Parameter]] = {}
    for group in layered:
        for parameter in group["params"]:
            if id(parameter) in left_out:
                continue
            part = "head" if id(parameter) in head else "backbone"
            scale = 1.0 if part == "head" else backbone_scale * group["lr_scale"]
            merged.setdefault((part, scale, group["weight_decay"]), []).append(parameter)
    return [Group(part, parameters, scale, decay) for (part, scale, decay), parameters in merged.items()]


def build_optimizer(groups: list[Group], config: TrainConfig) -> optim.Optimizer:
    """SGD with Nesterov momentum, AdamW, or another of timm's optimizers over `groups`."""
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
    if config.optimizer == "sgd":
        return optim.SGD(described, lr=config.lr, momentum=config.momentum, nesterov=config.momentum > 0)
    return create_optimizer_v2(
        described, config.optimizer, lr=config.lr, weight_decay=config.weight_decay, momentum=config.momentum
    )


def check_optimizer(name: str) -> None:
    """Raise UserError, with the closest names there are, where there is no such optimizer."""
    known = [str(one) for one in list_optimizers()]
    if name not in known:
        close = difflib.get_close_matches(name, known, n=3)
        hint = f"did you mean {', '.join(close)}?" if close else "timm.optim.list_optimizers() lists them"
        raise UserError(f"no optimizer is called {name!r}: {hint}")


def group_rows(groups: list[Group], config: TrainConfig) -> list[dict[str, str | int | float]]:
    """A table of the groups: name, number of parameters, peak learning rate, weight decay."""
    return [
        {
            "group": group.name,
            "parameters": _count(group.parameters),
            "lr": config.lr * group.scale,
            "weight_decay": group.weight_decay,
        }
        for group in groups
    ]


def describe_groups(groups: list[Group], config: TrainConfig, model: nn.Module | None = None) -> list[str]:
    """One line a group: how many parameters, which learning rate and weight decay.

    Parameters
    ----------
    model : what the groups were made of, for a last line that says how many parameters are in none.
    """
    lines = [
        f"{row['group']}: {row['parameters']:,} parameters, "
        f"lr {row['lr']:.3g}, weight decay {row['weight_decay']:.3g}"
        for row in group_rows(groups, config)
    ]
    learning = sum(_count(group.parameters) for group in groups)
    frozen = _count(model.parameters()) - learning if model is not None else 0
    return [*lines, f"frozen: {frozen:,} parameters"] if frozen else lines


def _count(parameters: Iterable[nn.Parameter]) -> int:
    return sum(parameter.numel() for parameter in parameters)
