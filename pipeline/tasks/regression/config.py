"""The options of an experiment with numbers to predict."""

from dataclasses import dataclass, field
from typing import Literal

from pipeline.config import groups
from pipeline.config.config import Ensemble
from pipeline.config.groups import FoldConfig
from pipeline.config.whole_images import ImageAugment as AugmentConfig
from pipeline.config.whole_images import ViewPredict as PredictConfig
from pipeline.tasks.whole_image import ModelConfig, WholeImageConfig

__all__ = ["AugmentConfig", "Config", "Ensemble", "FoldConfig", "ModelConfig", "PredictConfig", "TrainConfig"]


@dataclass(frozen=True, kw_only=True)
class TrainConfig(groups.TrainConfig):
    """The optimisation."""

    loss: Literal["mse", "smooth_l1", "mae", "bce", "laplace"] = "mse"
    """Of values scaled to 0..1. bce: binary cross-entropy with the value as a soft target; laplace: the
    likelihood of a Laplace distribution, for tasks that also predict how uncertain they are."""


@dataclass(frozen=True, kw_only=True)
class Config(WholeImageConfig):
    """One experiment with numbers to predict."""

    train: TrainConfig = field(default_factory=TrainConfig)
