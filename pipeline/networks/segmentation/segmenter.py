"""A timm encoder with a decoder that brings its features back to the image's size.

The decoders are those of segmentation-models-pytorch, narrower where its own widths, made for ResNet-50,
would cost more than a small encoder; and those of `pipeline.networks.segmentation.fcn`: ``fcn``, the
plainest, and ``fcn8``.
"""

import difflib
from typing import Any, Protocol, cast

import segmentation_models_pytorch as smp
import torch
import torch.nn.functional as F
from segmentation_models_pytorch.encoders import get_encoder
from torch import nn

from pipeline.base.errors import UserError
from pipeline.config.groups import ModelConfig
from pipeline.networks.freeze import flat_name
from pipeline.networks.segmentation.fcn import Fcn, Fcn8
from pipeline.networks.timm_network import published_cfg
from pipeline.networks.weights import check_name, create, load_weights, reason, resolve_weights

OPTIONS: dict[str, dict[str, Any]] = {
    "unet": {"decoder_channels": (128, 64, 48, 32, 16)},
    "unetplusplus": {"decoder_channels": (128, 64, 48, 32, 16)},
    "fpn": {"decoder_pyramid_channels": 128, "decoder_segmentation_channels": 64},
}
"""Arguments of a decoder that differ from the library's."""

FCNS = {"fcn": Fcn, "fcn8": Fcn8}

LEAST_SIDE = {"pan": 128}
"""Sides in pixels below which a decoder's own pooling has nothing left."""

DECODERS = (*FCNS, *smp.MODEL_ARCHITECTURES_MAPPING)

ENCODER = "network.encoder.model."
"""What the names of the encoder's tensors begin with."""


class Segmenter(nn.Module):
    """Logits of every pixel of an image of any size: (N, 3, H, W) -> (N, num_classes, H, W).

    Parameters
    ----------
    network : has `encoder`, `decoder` and, but for `Fcn8`, `segmentation_head`.
    pretrained_cfg : the encoder's preprocessing, in timm's terms.
    multiple, least : the sides that `network` takes are multiples of the one, and no less than the other.
    """

    def __init__(
        self, network: nn.Module, pretrained_cfg: dict[str, Any], multiple: int, least: int = 1
    ) -> None:
        super().__init__()
        self.network, self.pretrained_cfg = network, pretrained_cfg
        self.multiple, self.least = multiple, least

    @property
    def backbone(self) -> nn.Module:
        """The encoder, a timm network that gives its features."""
        return self.network.get_submodule("encoder.model")

    def get_classifier(self) -> tuple[nn.Module, ...]:
        """All that is not the encoder, none of it pretrained."""
        return tuple(child for name, child in self.network.named_children() if name != "encoder")

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """See the class."""
        height, width = images.shape[2:]
        right, below = self._missing(width), self._missing(height)
        if right or below:
            # Not a mirror: an image smaller than its padding would not have enough pixels for one.
            images = F.pad(images, (0, right, 0, below), mode="replicate")
        return self.network(images)[:, :, :height, :width]

    def _missing(self, side: int) -> int:
        full = max(side, self.least)
        return full + -full % self.multiple - side


class _Encoder(Protocol):
    """What the library's encoders have beside their features."""

    output_stride: int


def build_segmenter(
    config: ModelConfig,
    decoder: str,
    num_classes: int,
    drop_rate: float = 0.0,
    load: bool = True,
    channels: int = 3,
) -> Segmenter:
    """Build encoder `config.name` with a decoder.

    Parameters
    ----------
    drop_rate : dropout in the decoder.
    load : whether to load the encoder's starting weights; False where a checkpoint replaces them anyway.
    channels : of the images; see `pipeline.networks.build`.

    Raises
    ------
    UserError : unknown encoder or decoder (names the closest ones), two that do not go together, weights
        that cannot be had or that fit nowhere.
    """
    check_name(config.name)
    check_decoder(decoder)
    network = _network(config.name, decoder, num_classes, channels)
    _set_dropout(network, drop_rate)
    stride = cast(_Encoder, network.encoder).output_stride
    model = Segmenter(
        network,
        published_cfg(config.name).to_dict(),
        # DPT (arXiv 2103.13413) halves the transformer's own features once more.
        multiple=2 * stride if decoder == "dpt" else stride,
        least=LEAST_SIDE.get(decoder, 1),
    )
    if load and config.weights is not None:
        load_weights(model, resolve_weights(config.weights, config.name), prefix=ENCODER)
    elif load and config.pretrained:
        _load_published(model.backbone, config.name, channels)
    return model


def check_decoder(decoder: str) -> None:
    """Raise UserError, with the closest names there are, where no decoder is called so."""
    if decoder not in DECODERS:
        close = difflib.get_close_matches(decoder, DECODERS, n=3)
        hint = f"did you mean {', '.join(close)}?" if close else f"there are {', '.join(DECODERS)}"
        raise UserError(f"no decoder is called {decoder!r}: {hint}")


def _network(encoder: str, decoder: str, num_classes: int, channels: int) -> nn.Module:
    name = f"tu-{encoder}"  # the prefix by which the library knows timm's networks
    try:
        if decoder in FCNS:
            return FCNS[decoder](get_encoder(name, in_channels=channels, weights=None), num_classes)
        options = OPTIONS.get(decoder, {})
        return smp.create_model(
            decoder, name, encoder_weights=None, in_channels=channels, classes=num_classes, **options
        )
    except (ValueError, RuntimeError, TypeError, AttributeError, IndexError) as error:
        raise UserError(
            f"the decoder {decoder} does not go with the encoder {encoder} "
            f"({reason(error)}): choose another --model.decoder or --model.name"
        ) from error


def _set_dropout(network: nn.Module, rate: float) -> None:
    """Where the decoder has dropout of its own it gets this rate; where it has none, the head gets one."""
    decoder = network.get_submodule("decoder")
    layers = [m for m in decoder.modules() if isinstance(m, nn.modules.dropout._DropoutNd)]
    for layer in layers:
        layer.p = rate
    if rate and not layers:
        head = network.get_submodule("segmentation_head")
        network.segmentation_head = nn.Sequential(nn.Dropout2d(rate), head)


def _load_published(backbone: nn.Module, name: str, channels: int) -> None:
    """Copy the weights of timm's hub, or of its cache, from the classifier that the encoder is a part of."""
    published = create(name, pretrained=True, in_chans=channels).state_dict()
    own = {flat_name(key): key for key in backbone.state_dict()}
    state = {own[flat]: value for key, value in published.items() if (flat := flat_name(key)) in own}
    backbone.load_state_dict(state)  # strict: every tensor of the encoder must be among them
