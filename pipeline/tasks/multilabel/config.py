"""The options of an experiment with any number of labels an image."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pipeline.config import groups
from pipeline.config.config import Ensemble
from pipeline.config.groups import FoldConfig
from pipeline.config.limits import Limit
from pipeline.config.whole_images import ImageAugment as AugmentConfig
from pipeline.config.whole_images import ViewPredict as PredictConfig
from pipeline.tasks.whole_image import ModelConfig, WholeImageConfig

__all__ = ["AugmentConfig", "Config", "Ensemble", "FoldConfig", "ModelConfig", "PredictConfig", "TrainConfig"]


@dataclass(frozen=True, kw_only=True)
class TrainConfig(groups.TrainConfig):
    """The optimisation."""

    loss: Literal["bce", "focal", "asymmetric"] = "bce"
    """bce: binary cross-entropy; focal: arXiv 1708.02002 with gamma 2; asymmetric: arXiv 2009.14119, for
    many labels of which few are true."""
    label_smoothing: Annotated[float, Limit(0, 0.99)] = 0.0
    """Share by which each target moves towards one half; bce only."""
    balance: Annotated[float, Limit(0, 1)] = 0.0
    """Power of (images without / images with a label) that its positives are weighted by; bce only. 0 is
    off, 1 gives both sides of each label the same weight in all."""

    def unused(self) -> dict[str, str]:
        """See `pipeline.config.groups.Group`."""
        if self.loss == "bce":
            return super().unused()
        reason = f"train.loss={self.loss} does not use it"
        return super().unused() | dict.fromkeys(("label_smoothing", "balance"), reason)


@dataclass(frozen=True, kw_only=True)
class Config(WholeImageConfig):
    """One experiment with any number of labels an image."""

    train: TrainConfig = field(default_factory=TrainConfig)
