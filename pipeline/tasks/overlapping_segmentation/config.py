"""The options of an experiment in masks that may overlap."""

from dataclasses import dataclass, field
from typing import Annotated

from pipeline.config import groups, scales
from pipeline.config.config import Ensemble
from pipeline.config.groups import FoldConfig
from pipeline.config.limits import Limit
from pipeline.tasks.loss_sums import parts_of
from pipeline.tasks.pixelwise import ModelConfig, PixelwiseConfig, PredictConfig

__all__ = ["AugmentConfig", "Config", "Ensemble", "FoldConfig", "ModelConfig", "PredictConfig", "TrainConfig"]


@dataclass(frozen=True, kw_only=True)
class AugmentConfig(scales.ScaledAugment):
    """Random changes to training images and their masks. Nothing here touches validation or test images."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig(groups.TrainConfig):
    """The optimisation."""

    loss: str = "bce+dice"
    """A sum of bce, focal, dice, tversky and lovasz, each with a factor or none, such as bce+0.5*dice."""
    positive_weight: Annotated[float, Limit(0.01, 1000)] = 1.0
    """How many times pixels inside a mask count in bce what those outside do."""
    tversky_beta: Annotated[float, Limit(0.01, 0.99)] = 0.7
    """Weight of missed pixels in tversky; that of spurious ones is what it lacks to 1. 0.5 is dice."""

    def unused(self) -> dict[str, str]:
        """See `pipeline.config.groups.Group`."""
        names, found = parts_of(self.loss), super().unused()
        if "bce" not in names:
            found["positive_weight"] = f"train.loss={self.loss} has no bce"
        if "tversky" not in names:
            found["tversky_beta"] = f"train.loss={self.loss} has no tversky"
        return found


@dataclass(frozen=True, kw_only=True)
class Config(PixelwiseConfig):
    """One experiment in masks that may overlap."""

    augment: AugmentConfig = field(default_factory=AugmentConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
