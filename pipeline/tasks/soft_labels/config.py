"""The options of an experiment with shares as the truth."""

from dataclasses import dataclass, field

from pipeline.config.config import Ensemble
from pipeline.config.groups import FoldConfig
from pipeline.config.whole_images import ImageAugment as AugmentConfig
from pipeline.config.whole_images import ViewPredict as PredictConfig
from pipeline.tasks.class_losses import ClassTrainConfig as TrainConfig
from pipeline.tasks.whole_image import ModelConfig, WholeImageConfig

__all__ = ["AugmentConfig", "Config", "Ensemble", "FoldConfig", "ModelConfig", "PredictConfig", "TrainConfig"]


@dataclass(frozen=True, kw_only=True)
class Config(WholeImageConfig):
    """One experiment with shares as the truth."""

    train: TrainConfig = field(default_factory=TrainConfig)
