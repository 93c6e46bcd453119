"""A network by timm name, with a stem that fits small images, a head for the classes, and weights or none."""

from collections.abc import Callable
from typing import cast

import torch
from torch import nn

import pipeline.networks.cifarnet  # noqa: F401  registers podium_cifarnet with timm
from pipeline.base.errors import UserError
from pipeline.config.groups import ImageSize, ModelConfig, named_size, sides
from pipeline.networks.gem import GeM
from pipeline.networks.joint import TABLE, Given, JointNetwork, Pool
from pipeline.networks.timm_network import TimmNetwork, classifier_parts, published_cfg
from pipeline.networks.weights import central, check_name, create, load_weights, reason, resolve_weights

SMALL_IMAGE = 64
"""Inputs below this side keep full resolution in the stem: networks made for 224 pixels would shrink them
away."""


def build_classifier(
    config: ModelConfig,
    num_classes: int,
    drop_rate: float = 0.0,
    drop_path: float = 0.0,
    load: bool = True,
    channels: int = 3,
    unpooled: bool = False,
) -> nn.Module:
    """Build the network `config` names, with `num_classes` outputs.

    Parameters
    ----------
    drop_rate : dropout before the classifier.
    drop_path : stochastic depth.
    load : whether to load the starting weights; False where a checkpoint replaces them anyway.
    channels : of the images. timm adapts the first convolution of published weights to them: it sums the
        kernels of red, green and blue for one, and repeats and scales them for more.
    unpooled : whether it gives maps (N, D, H, W), for another pooling than its own; with 0 outputs.

    Raises
    ------
    UserError : unknown name (names the closest ones), weights that cannot be had or that fit nowhere, a
        network that cannot work on small images.
    """
    check_name(config.name)
    options = size_options(config.name, config.image_size)
    if channels != 3:
        options["in_chans"] = channels
    if drop_path:
        options["drop_path_rate"] = drop_path
    if unpooled:
        options["global_pool"] = ""
    pretrained = load and config.pretrained and config.weights is None
    # timm keeps the published classifier where it has as many classes.
    published = pretrained and published_cfg(config.name).num_classes == num_classes
    try:
        model = create(
            config.name, pretrained=pretrained, num_classes=num_classes, drop_rate=drop_rate, **options
        )
    except TypeError as error:
        if unpooled and "global_pool" in str(error):
            raise UserError(
                f"{config.name} has no pooling to replace: leave out --model.global-pool"
            ) from error
        if not drop_path:
            raise
        raise UserError(f"{config.name} has no stochastic depth: leave out --model.drop-path") from error
    if not published and not hasattr(model, "init_from_images"):
        calm_head(model)
    if min(sides(config.image_size)) < SMALL_IMAGE:
        adapt_stem(model)
        _try_out(model, config, channels)
    if load and config.weights is not None:
        load_weights(model, resolve_weights(config.weights, config.name))
    return model


def build_joint(
    config: ModelConfig,
    head: Callable[[int], nn.Module],
    given: Given,
    *,
    pool: Pool = "mean",
    gem: bool = False,
    drop_rate: float = 0.0,
    drop_path: float = 0.0,
    load: bool = True,
) -> nn.Module:
    """Build a network around the encoder that `config` names: for rows that are more than one image, or with
    another pooling or head than the encoder's own; see `pipeline.networks.joint` and `build_classifier`.

    Parameters
    ----------
    head : makes the head for so many features.
    gem : whether the encoder's maps are pooled by their generalised mean.
    """
    channels = given.channels // given.images
    backbone = build_classifier(config, 0, 0.0, drop_path, load, channels, unpooled=gem)
    features = cast(int, getattr(backbone, "head_hidden_size", None) or backbone.num_features)
    return JointNetwork(
        backbone,
        head(features + (TABLE if given.table else 0)),
        features=features,
        given=given,
        pool=pool,
        drop_rate=drop_rate,
        global_pool=GeM(features) if gem else None,
    )


def linear_head(features: int, outputs: int) -> nn.Module:
    """A linear layer that begins with small weights, see `calm_head`."""
    head = nn.Linear(features, outputs)
    nn.init.normal_(head.weight, std=0.01)
    nn.init.zeros_(head.bias)
    return head


def calm_head(model: nn.Module) -> None:
    """Start the classifier with small weights, so that all classes begin about equally likely.

    Several of timm's networks draw them from a range that only suits a thousand classes: a MobileNetV2 for
    two classes starts with a loss of 10 instead of 0.7, and fine-tuning spends its first epochs undoing that.
    """
    for part in classifier_parts(model):
        for layer in part.modules():
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=0.01)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)


@torch.inference_mode()
def _try_out(model: nn.Module, config: ModelConfig, channels: int) -> None:
    """Run one blank image. Some networks have a fixed feature size deep inside, which shows only now."""
    try:
        model.eval()(torch.zeros(1, channels, *sides(config.image_size)))
    except Exception as error:
        raise UserError(
            f"{config.name} cannot work on images of {named_size(config.image_size)} pixels "
            f"({reason(error)}): raise --model.image-size or choose another network"
        ) from error
    model.train()


def size_options(name: str, image_size: ImageSize) -> dict:
    """Arguments that tell a fixed-size architecture (a transformer) its input size, and a patch size that
    fits it."""
    if not published_cfg(name).fixed_input_size:
        return {}
    options: dict = {"img_size": image_size}
    smaller = min(sides(image_size))
    if smaller < SMALL_IMAGE and "patch" in name:
        options["patch_size"] = max(1, smaller // 8)
    return options


def adapt_stem(model: nn.Module) -> None:
    """Let a network made for large images see small ones at full resolution, where its first layers allow it.

    A strided first convolution gets stride 1 (a 7 x 7 one also shrinks to its central 3 x 3, keeping the
    weights there), and the max pool after it goes. Networks with stride 1 already, patches as their stem, or
    a feature size fixed by the input size (transformers) are left alone.
    """
    cfg = cast(TimmNetwork, model).pretrained_cfg
    names = cfg.get("first_conv") or ()
    # A stem of parallel branches has several first convolutions, one of them often 1 x 1.
    first = [model.get_submodule(name) for name in ([names] if isinstance(names, str) else names)]
    convs = [
        part
        for part in first
        if isinstance(part, nn.Conv2d) and max(part.stride) > 1 and part.kernel_size[0] in (1, 3, 5, 7)
    ]
    if not convs or len(convs) < len(first) or cfg.get("fixed_input_size"):
        return
    for conv in convs:
        if conv.kernel_size[0] > 3:
            conv.weight = nn.Parameter(central(conv.weight.detach(), 3))
            conv.kernel_size = (3, 3)
            conv.padding = (1, 1)
        conv.stride = (1, 1)
    if isinstance(getattr(model, "maxpool", None), nn.Module):
        model.maxpool = nn.Identity()
