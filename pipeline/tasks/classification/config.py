"""The options of an experiment in classification."""

from dataclasses import dataclass, field
from typing import Annotated

from pipeline.config import config, groups
from pipeline.config.config import Ensemble
from pipeline.config.groups import FoldConfig
from pipeline.config.limits import Limit
from pipeline.config.whole_images import ImageAugment as AugmentConfig
from pipeline.config.whole_images import ViewPredict as PredictConfig
from pipeline.config.whole_images import check_fit

__all__ = ["AugmentConfig", "Config", "Ensemble", "FoldConfig", "ModelConfig", "PredictConfig", "TrainConfig"]


@dataclass(frozen=True, kw_only=True)
class ModelConfig(groups.ModelConfig):
    """Which network, and what it starts from."""

    drop_rate: Annotated[float, Limit(0, 0.95)] = 0.0
    """Dropout before the classifier."""
    drop_path: Annotated[float, Limit(0, 0.95)] = 0.0
    """Stochastic depth (arXiv 1603.09382) of networks that have residual branches."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig(groups.TrainConfig):
    """The optimisation."""

    label_smoothing: Annotated[float, Limit(0, 0.99)] = 0.0
    """Share of each target spread over all classes."""


@dataclass(frozen=True, kw_only=True)
class Config(config.Config):
    """One experiment in classification."""

    model: ModelConfig = field(default_factory=ModelConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    predict: PredictConfig = field(default_factory=PredictConfig)

    def check(self) -> None:
        """Padding, shifts and holes must fit the image."""
        check_fit(self.augment, self.predict, self.model.image_size)
