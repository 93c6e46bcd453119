"""The options of an experiment in classification."""

from dataclasses import dataclass

from pipeline.config.config import Ensemble
from pipeline.config.groups import FoldConfig
from pipeline.config.whole_images import ImageAugment as AugmentConfig
from pipeline.config.whole_images import ViewPredict as PredictConfig
from pipeline.tasks.class_losses import ClassTrainConfig as TrainConfig
from pipeline.tasks.exclusive import ExclusiveConfig
from pipeline.tasks.whole_image import ModelConfig

__all__ = ["AugmentConfig", "Config", "Ensemble", "FoldConfig", "ModelConfig", "PredictConfig", "TrainConfig"]


@dataclass(frozen=True, kw_only=True)
class Config(ExclusiveConfig):
    """One experiment in classification."""
