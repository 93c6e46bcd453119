"""The options of an experiment in segmentation."""

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

    loss: str = "ce"
    """A sum of ce, dice, focal and lovasz, each with a factor or none, such as ce+0.5*dice."""
    logit_adjustment: Annotated[float, Limit(0, 100)] = 0.0
    """tau of logit adjustment (arXiv 2007.07314) of ce and focal by the classes' shares of the training
    pixels; 0 is off. Above it rare classes are predicted more often, at 1 as if all were as frequent."""
    label_smoothing: Annotated[float, Limit(0, 0.99)] = 0.0
    """Share of each target spread over all classes, in ce."""

    def unused(self) -> dict[str, str]:
        """See `pipeline.config.groups.Group`."""
        names = parts_of(self.loss)
        found = super().unused()
        if "ce" not in names:
            found["label_smoothing"] = f"train.loss={self.loss} has no ce"
        if not names & {"ce", "focal"}:
            found["logit_adjustment"] = f"train.loss={self.loss} has neither ce nor focal"
        return found


@dataclass(frozen=True, kw_only=True)
class Config(PixelwiseConfig):
    """One experiment in segmentation."""

    augment: AugmentConfig = field(default_factory=AugmentConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
