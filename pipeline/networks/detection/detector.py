"""A detector by name: a timm backbone with one of four ways to find boxes in its features."""

from typing import Any, cast

from torch import nn

from pipeline.base.errors import UserError
from pipeline.config.groups import ModelConfig
from pipeline.networks.build import size_options
from pipeline.networks.detection.faster_rcnn import FasterRcnn
from pipeline.networks.detection.fcos import Fcos
from pipeline.networks.detection.parts import Detector, Trunk
from pipeline.networks.detection.retinanet import RetinaNet
from pipeline.networks.detection.ssd import Ssd
from pipeline.networks.timm_network import FeatureNetwork, published_cfg
from pipeline.networks.weights import check_name, create, load_weights, reason, resolve_weights

DETECTORS = {"faster_rcnn": FasterRcnn, "fcos": Fcos, "retinanet": RetinaNet, "ssd": Ssd}
STRIDES = (8, 16, 32)
"""Of the backbone's features that detectors look at."""


def build_detector(
    config: ModelConfig,
    detector: str,
    num_classes: int,
    mask_head: bool = False,
    load: bool = True,
    channels: int = 3,
) -> Detector:
    """Build a detector on backbone `config.name`.

    Parameters
    ----------
    num_classes : without background, which is the detectors' own matter.
    mask_head : also a mask for each box.
    load : whether to load the backbone's starting weights; False where a checkpoint replaces them anyway.
    channels : of the images; see `pipeline.networks.build`.

    Raises
    ------
    UserError : unknown backbone (names the closest ones) or detector, a backbone without features at strides
        8, 16 and 32, masks from a detector that has none, weights that cannot be had or that fit nowhere.
    """
    check_detector(detector, mask_head)
    backbone = _backbone(config, load, channels)
    info = cast(FeatureNetwork, backbone).feature_info
    strides, widths = info.reduction(), info.channels()
    picked = [max(i for i, stride in enumerate(strides) if stride == wanted) for wanted in STRIDES]
    preprocessing = published_cfg(config.name).to_dict()
    trunk = Trunk(backbone, picked, [widths[i] for i in picked], preprocessing)
    options = {"masks": True} if mask_head else {}
    return DETECTORS[detector](trunk, num_classes, **options)


def check_detector(detector: str, mask_head: bool) -> None:
    """Raise UserError where there is no such detector, or it has no masks."""
    if detector not in DETECTORS:
        raise UserError(f"no detector is called {detector!r}: there are {', '.join(DETECTORS)}")
    if mask_head and detector != "faster_rcnn":
        raise UserError(
            f"the detector {detector} has no masks: choose --model.detector faster_rcnn or "
            "--model.no-mask-head"
        )


def _backbone(config: ModelConfig, load: bool, channels: int) -> nn.Module:
    """timm's network without its classifier, with the weights asked for."""
    check_name(config.name)
    options: dict[str, Any] = size_options(config.name, config.image_size) | (
        {} if channels == 3 else {"in_chans": channels}
    )
    try:
        backbone = create(config.name, features_only=True, **options)
        strides = cast(FeatureNetwork, backbone).feature_info.reduction()
    except Exception as error:
        raise UserError(
            f"{config.name} does not give its inner features ({reason(error)}): choose another --model.name"
        ) from error
    if not set(STRIDES) <= set(strides):
        raise UserError(
            f"{config.name} has features at strides {', '.join(map(str, strides))}; detectors need 8, 16 and "
            "32: choose another --model.name"
        )
    if load and config.weights is not None:
        load_weights(backbone, resolve_weights(config.weights, config.name))
    elif load and config.pretrained:
        return create(config.name, pretrained=True, features_only=True, **options)
    return backbone
