"""The options of an experiment in classification."""

from dataclasses import dataclass, field
from typing import Annotated

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

    label_smoothing: Annotated[float, Limit(0, 0.99)] = 0.0
    """Share of each target spread over all classes."""


@dataclass(frozen=True, kw_only=True)
class Config(WholeImageConfig):
    """One experiment in classification."""

    train: TrainConfig = field(default_factory=TrainConfig)
