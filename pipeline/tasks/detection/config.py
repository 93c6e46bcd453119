"""The options of an experiment in detection."""

from dataclasses import dataclass, field
from typing import Annotated, Literal, Self

from pipeline.config import config, groups, scales
from pipeline.config.config import Ensemble
from pipeline.config.groups import FoldConfig, TrainConfig
from pipeline.config.limits import COUNT, SHARE
from pipeline.config.reach import Reach

__all__ = ["AugmentConfig", "Config", "Ensemble", "FoldConfig", "ModelConfig", "PredictConfig", "TrainConfig"]


ENLARGED = 2.0
"""How many times as large as the input an image is kept, each side: crops that keep the boxes are as large as
those lie apart, and are enlarged to the input."""


@dataclass(frozen=True, kw_only=True)
class ModelConfig(groups.ModelConfig):
    """Which network, and what it starts from. `name` is the backbone."""

    fit: Literal["letterbox", "resize"] = "letterbox"
    """How an image of another shape becomes the input. letterbox: in proportion, with bars of the mean
    colour; resize: squashed. Boxes and masks follow."""
    detector: Literal["faster_rcnn", "retinanet", "fcos", "ssd"] = "fcos"
    """Two-stage faster_rcnn, one-stage retinanet, fcos or (smallest) ssd."""
    mask_head: bool = False
    """With faster_rcnn: also a mask for each box (Mask R-CNN)."""


@dataclass(frozen=True, kw_only=True)
class AugmentConfig(scales.ScaledAugment):
    """Random changes to training images and their boxes. Nothing here touches validation or test images."""

    mosaic: Annotated[float, SHARE] = 0.0
    """Share of the images that are put together from four, and cropped."""
    copy_paste: Annotated[float, SHARE] = 0.0
    """Share of the images that get objects of another one pasted in, by their masks (arXiv 2012.07177)."""


@dataclass(frozen=True, kw_only=True)
class PredictConfig(scales.ScaledPredict):
    """Test-time augmentation: boxes of every combination of views are fused. Tiles, for small objects in
    large images, are looked at besides the whole image."""

    min_score: Annotated[float, SHARE] = 0.02
    """Boxes need a greater score."""
    nms_iou: Annotated[float, SHARE] = 0.6
    """Of two boxes of a class with a greater IoU only the better is kept."""
    max_boxes: Annotated[int, COUNT] = 100
    """Most boxes of an image."""
    fusion: Literal["wbf", "nms"] = "wbf"
    """How the boxes of several views become one list: weighted fusion or suppression."""

    def plain(self) -> Self:
        """See `pipeline.config.groups.PredictConfig`."""
        return type(self)(
            flip=False,
            amp=self.amp,
            tile=self.tile,
            overlap=self.overlap,
            min_score=self.min_score,
            nms_iou=self.nms_iou,
            max_boxes=self.max_boxes,
            batch_size=self.batch_size,
        )


@dataclass(frozen=True, kw_only=True)
class Config(config.Config):
    """One experiment in detection."""

    model: ModelConfig = field(default_factory=ModelConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    predict: PredictConfig = field(default_factory=PredictConfig)

    def check(self) -> None:
        """Turned images must fit the network."""
        self.turns_squares()

    def reach(self) -> Reach | None:
        """See Config. Tiles show an image's own pixels."""
        if self.predict.tile:
            return None
        margin = max(ENLARGED, *self.predict.scales)
        return Reach.of(self.model.image_size, margin, covers=self.model.fit == "resize")
