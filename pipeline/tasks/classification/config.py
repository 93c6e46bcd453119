"""The options of an experiment in classification."""

from dataclasses import dataclass, field, replace
from typing import Annotated, Literal, cast

from pipeline.base.errors import UserError
from pipeline.config.config import Ensemble
from pipeline.config.groups import FoldConfig
from pipeline.config.limits import COUNT, SHARE, Limit
from pipeline.config.whole_images import ImageAugment as AugmentConfig
from pipeline.config.whole_images import ViewPredict
from pipeline.tasks import whole_image
from pipeline.tasks.class_losses import ClassTrainConfig as TrainConfig
from pipeline.tasks.exclusive import ExclusiveConfig

__all__ = ["AugmentConfig", "Config", "Ensemble", "FoldConfig", "ModelConfig", "PredictConfig", "TrainConfig"]


@dataclass(frozen=True, kw_only=True)
class ModelConfig(whole_image.ModelConfig):
    """Which network, and what it starts from."""

    head: Literal["linear", "arcface"] = "linear"
    """linear: a layer of one logit for each class. arcface: angles to centres of each class (arXiv
    1801.07698, with sub-centres), for very many classes of few images; it also keeps the embeddings of the
    training images."""
    margin: Annotated[float, Limit(0, 1.5)] = 0.3
    """Angle in radians by which arcface wants the true class nearer."""
    scale: Annotated[float, Limit(1, 1000)] = 30.0
    """What arcface multiplies cosines by to get logits."""
    centres: Annotated[int, Limit(1, 64)] = 3
    """Centres of each class in arcface; more than 1 take up outliers and wrong labels."""
    embedding: Annotated[int, Limit(2, 65536)] = 512
    """Numbers of arcface's embedding of an image."""

    def unused(self) -> dict[str, str]:
        """See Group."""
        names = ("margin", "scale", "centres", "embedding") if self.head == "linear" else ()
        return super().unused() | dict.fromkeys(names, f"model.head={self.head} does not use it")


@dataclass(frozen=True, kw_only=True)
class PredictConfig(ViewPredict):
    """Test-time augmentation: predictions are averaged over every combination of views."""

    knn: Annotated[float, SHARE] = 0.0
    """Share of the prediction that the nearest training images of the fold give, by model.head=arcface's
    embeddings; 0 is off."""
    neighbours: Annotated[int, COUNT] = 20
    """How many training images that are."""

    def unused(self) -> dict[str, str]:
        """See Group."""
        return super().unused() | ({} if self.knn else {"neighbours": "predict.knn=0 looks at none"})


@dataclass(frozen=True, kw_only=True)
class Config(ExclusiveConfig):
    """One experiment in classification."""

    model: ModelConfig = field(default_factory=ModelConfig)
    predict: PredictConfig = field(default_factory=PredictConfig)

    def check(self) -> None:
        """Margins need images of one class."""
        super().check()
        if self.model.head == "arcface" and (self.augment.mixup or self.augment.cutmix):
            raise UserError(
                "--model.head arcface needs one true class for each image: leave out --augment.mixup and "
                "--augment.cutmix"
            )

    def predicting(self) -> PredictConfig:
        """See Config; without embeddings no neighbours are asked."""
        config = cast(PredictConfig, super().predicting())
        return config if self.model.head == "arcface" else replace(config, knn=0.0)

    def without_views(self) -> PredictConfig:
        """See Config; neighbours stay."""
        asked = self.predicting()
        return replace(asked.plain(), knn=asked.knn, neighbours=asked.neighbours)

    def unused(self) -> dict[str, dict[str, str]]:
        """See Config; without embeddings there are no neighbours."""
        found = super().unused()
        if self.predict.knn and self.model.head != "arcface":
            reason = f"model.head={self.model.head} keeps no embeddings: --model.head arcface does"
            found["predict"] = {**found.get("predict", {}), "knn": reason, "neighbours": reason}
        return found
