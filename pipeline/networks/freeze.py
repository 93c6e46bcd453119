"""Which parts of a network learn: stages from the input to the head, frozen for ever or for some epochs.

Gradual unfreezing follows ULMFiT (Howard and Ruder, arXiv 1801.06146): the layers closest to the head are the
least general and join first. A frozen stage is in evaluation mode too: in training mode its BatchNorm would
go on averaging the new images into statistics that its fixed weights were not trained with.
"""

import functools
from collections.abc import Iterator
from typing import cast

import timm
import torch
from timm.models import group_parameters
from torch import nn

from pipeline.base.errors import UserError
from pipeline.config.groups import TrainConfig
from pipeline.networks.timm_network import TimmNetwork, classifier_parts


def stages(model: nn.Module) -> list[list[str]]:
    """Names of the backbone's parameters, stage by stage from the input (the stem) on; the head is in none.

    What timm assigns to no stage (a final norm) goes with the last one. Numbers are the same for a classifier
    and for an encoder made of it: a stem and four stages in a ResNet or ConvNeXt, a stem and one for each
    block in a transformer.

    Parameters
    ----------
    model : a timm classifier, or anything whose ``backbone`` is a timm network.
    """
    named, heads = NamedByTimm(model), head_ids(model)
    group_of = cast(
        dict[str, int],
        group_parameters(
            named,  # pyright: ignore[reportArgumentType]  # it asks for nothing but the parameters' names
            named.group_matcher(coarse=True),
            reverse=True,
        ),
    )
    found: list[list[str]] = [[] for _ in range(max(group_of.values()) + 1)]
    has_head = [False] * len(found)
    pairs = zip(model.named_parameters(), named.named_parameters(), strict=True)
    for (name, parameter), (timm_name, _) in pairs:
        if id(parameter) in heads:
            has_head[group_of[timm_name]] = True
        else:
            found[group_of[timm_name]].append(name)
    if len(found) > 1 and has_head[-1]:
        rest = found.pop()
        found[-1] += rest
    return [names for names in found if names]


def set_trainable(model: nn.Module, config: TrainConfig, epoch: int) -> None:
    """Training mode and gradients for all that learns in `epoch` (0-based), evaluation mode and no gradients
    for the rest. Call it before each epoch, for evaluation changes the mode.

    Parameters that never had gradients, such as a fixed whitening layer, get none.

    Raises
    ------
    UserError : ``frozen_stages`` is more than the network has; says how many there are.
    """
    model.train()
    asleep = frozen_names(model, config, epoch)
    for name, parameter in model.named_parameters():
        if name in asleep and parameter.requires_grad:
            _set_asleep(parameter, True)
        elif name not in asleep and getattr(parameter, "is_asleep", False):
            _set_asleep(parameter, False)
    if asleep:
        for module in model.modules():
            own = list(module.parameters())
            if own and not any(parameter.requires_grad for parameter in own):
                module.eval()  # with all inside it: dropout, too, is for layers that learn


def _set_asleep(parameter: nn.Parameter, asleep: bool) -> None:
    parameter.requires_grad_(not asleep)
    # Tells it from one that its network never trains.
    parameter.is_asleep = asleep  # pyright: ignore[reportAttributeAccessIssue]  # tensors take attributes


def frozen_names(model: nn.Module, config: TrainConfig, epoch: int | None = None) -> set[str]:
    """Names of the backbone's parameters that do not learn in `epoch` (0-based), or never do where it is
    None.

    Raises
    ------
    UserError : as `set_trainable`.
    """
    if not config.frozen_stages and not (config.unfreeze_every and epoch is not None):
        return set()
    found = stages(model)
    if not -1 <= config.frozen_stages <= len(found):
        raise UserError(
            f"the network has no {config.frozen_stages} stages to freeze: give --train.frozen-stages "
            f"0 to {len(found)}, or -1 for the whole backbone"
        )
    count = len(found) if config.frozen_stages == -1 else config.frozen_stages
    if config.unfreeze_every and epoch is not None:
        count = max(count, len(found) - epoch // config.unfreeze_every)
    return {name for names in found[:count] for name in names}


def checkpoint_gradients(model: nn.Module) -> None:
    """Compute the backbone's activations again in the backward pass instead of keeping them.

    Raises
    ------
    UserError : the network cannot.
    """
    backbone = backbone_of(model)
    for part in (backbone, getattr(backbone, "model", None)):
        switch = getattr(part, "set_grad_checkpointing", None)
        if switch is not None:
            try:
                switch(True)
            except AssertionError:
                break  # how timm says that a network has no such thing
            return
    raise UserError(
        f"{type(backbone).__name__} cannot compute its activations again: leave out "
        "--model.grad-checkpointing"
    )


def backbone_of(model: nn.Module) -> nn.Module:
    """The pretrained part of a segmenter or detector, its ``backbone``; a classifier is its own."""
    backbone = getattr(model, "backbone", None)
    return backbone if isinstance(backbone, nn.Module) else model


def head_ids(model: nn.Module) -> set[int]:
    """``id`` of each parameter of the head: the classifier, and all that is outside the backbone."""
    inside = {id(parameter) for parameter in backbone_of(model).parameters()}
    own = {id(parameter) for part in classifier_parts(model) for parameter in part.parameters()}
    return own | {id(parameter) for parameter in model.parameters()} - inside


class NamedByTimm:
    """A network whose parameters go by the names they have in timm's own network, for timm's functions.

    The encoder that timm makes of a network calls ``stages.0`` ``stages_0`` and does not say which layers
    belong together. What is not in the backbone, a decoder or a detection head, is ``outside``: no pattern
    matches that, so timm puts it after the last layer.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model, backbone = model, backbone_of(model)
        self.source = backbone if hasattr(backbone, "group_matcher") else _original(backbone)
        known = {flat_name(name): name for name, _ in self.source.named_parameters()}
        self.names = {
            id(parameter): known.get(flat_name(name), name) for name, parameter in backbone.named_parameters()
        }

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """As a module's, in the module's order."""
        for name, parameter in self.model.named_parameters():
            yield self.names.get(id(parameter), f"outside.{name}"), parameter

    def group_matcher(self, coarse: bool = False) -> dict:
        """Patterns of the names that form a layer, or a stage with `coarse`."""
        if hasattr(self.source, "group_matcher"):
            return cast(TimmNetwork, self.source).group_matcher(coarse=coarse)
        return {name: rf"^{name}\." for name, _ in self.source.named_children()}

    def no_weight_decay(self) -> set[str]:
        """Names that the network's authors exempt from weight decay."""
        if hasattr(self.source, "no_weight_decay"):
            return set(cast(TimmNetwork, self.source).no_weight_decay())
        return set()


def flat_name(name: str) -> str:
    """A parameter's name in a form that is the same in timm's network and in the encoder made of it."""
    return name.removeprefix("model.").replace(".", "_")


def _original(encoder: nn.Module) -> nn.Module:
    """The timm network that `encoder` was made of, or `encoder` itself where that is unknown."""
    for part in (encoder, getattr(encoder, "model", None)):
        cfg = getattr(part, "pretrained_cfg", None) or {}
        if timm.is_model(cfg.get("architecture") or ""):
            return _skeleton(cfg["architecture"])
    return encoder


@functools.cache
def _skeleton(name: str) -> nn.Module:
    """A network without memory for its weights, to ask it for names."""
    with torch.device("meta"):
        return timm.create_model(name)
