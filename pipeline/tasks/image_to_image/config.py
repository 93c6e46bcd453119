"""The options of an experiment in images of images."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pipeline.config import groups, scales
from pipeline.config.config import Ensemble
from pipeline.config.groups import FoldConfig
from pipeline.config.limits import Limit
from pipeline.tasks import pixelwise
from pipeline.tasks.pixelwise import PixelwiseConfig, PredictConfig

__all__ = ["AugmentConfig", "Config", "Ensemble", "FoldConfig", "ModelConfig", "PredictConfig", "TrainConfig"]


@dataclass(frozen=True, kw_only=True)
class ModelConfig(pixelwise.ModelConfig):
    """Which network, and what it starts from. `name` is the encoder; `image_size` the size of training
    crops."""

    decoder: str = "unet"
    """fcn, fcn8, or one of segmentation-models-pytorch (unet, fpn, deeplabv3plus, ...)."""


@dataclass(frozen=True, kw_only=True)
class AugmentConfig(scales.ScaledAugment):
    """Random changes to training images and their targets. Nothing here touches validation or test images."""

    min_scale: Annotated[float, Limit(0.05, 16)] = 1.0
    """Smallest factor of random rescaling before a square is cropped."""
    max_scale: Annotated[float, Limit(0.05, 16)] = 1.0
    """Largest factor of it."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig(groups.TrainConfig):
    """The optimisation."""

    loss: Literal["mse", "l1", "smooth_l1"] = "mse"
    """What is minimised at each pixel: the squared error, the absolute one, or between them."""


@dataclass(frozen=True, kw_only=True)
class Config(PixelwiseConfig):
    """One experiment in images of images."""

    model: ModelConfig = field(default_factory=ModelConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
