"""The options of an experiment in segmentation."""

from dataclasses import dataclass, field
from typing import Annotated, Self

from pipeline.config import config, groups, scales
from pipeline.config.config import Ensemble
from pipeline.config.groups import FoldConfig
from pipeline.config.limits import Limit

__all__ = ["AugmentConfig", "Config", "Ensemble", "FoldConfig", "ModelConfig", "PredictConfig", "TrainConfig"]


@dataclass(frozen=True, kw_only=True)
class ModelConfig(groups.ModelConfig):
    """Which network, and what it starts from. `name` is the encoder; `image_size` the side of training
    crops."""

    decoder: str = "fpn"
    """fcn, fcn8, or one of segmentation-models-pytorch (unet, fpn, deeplabv3plus, ...)."""
    drop_rate: Annotated[float, Limit(0, 0.95)] = 0.0
    """Dropout in the decoder."""


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
        names = {part.rpartition("*")[2].strip() for part in self.loss.split("+")}
        found = super().unused()
        if "ce" not in names:
            found["label_smoothing"] = f"train.loss={self.loss} has no ce"
        if not names & {"ce", "focal"}:
            found["logit_adjustment"] = f"train.loss={self.loss} has neither ce nor focal"
        return found


@dataclass(frozen=True, kw_only=True)
class PredictConfig(scales.ScaledPredict):
    """Test-time augmentation: probabilities are averaged over every combination of views. Tiles are looked
    at instead of the whole image."""

    def plain(self) -> Self:
        """See `pipeline.config.groups.PredictConfig`. Tiles stay: the image may be too large without."""
        return type(self)(
            flip=False, tile=self.tile, overlap=self.overlap, batch_size=self.batch_size, amp=self.amp
        )


@dataclass(frozen=True, kw_only=True)
class Config(config.Config):
    """One experiment in segmentation."""

    model: ModelConfig = field(default_factory=ModelConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    predict: PredictConfig = field(default_factory=PredictConfig)
