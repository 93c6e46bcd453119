"""Boxes with a class each."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import albumentations as A
import numpy as np
import pandas as pd
import torch
from torch import nn

from pipeline.base.errors import UserError
from pipeline.config.config import AugmentConfig, Config, ModelConfig, PredictConfig, TrainConfig
from pipeline.frame.boxes import box_array
from pipeline.inputs.batches import Images, Targets
from pipeline.inputs.transforms import Preprocess, detection_transform
from pipeline.metrics.voc import precision_recall
from pipeline.networks.detection.detector import build_detector
from pipeline.prediction.predict import Request
from pipeline.tasks.detection.breakdown import break_down
from pipeline.tasks.detection.pictures import (
    Detections,
    draw_boxes,
    plot_breakdown,
    plot_detections,
    plot_precision_recall,
)
from pipeline.tasks.detection.predict import from_frame, fuse, predict_boxes, to_frame
from pipeline.tasks.detection.targets import Boxes
from pipeline.tasks.task import Mixer

SHOWN = 12
"""Images in the report."""
SHOWN_SCORE = 0.3
"""Least score of a box that is drawn."""


class Detection:
    """Truth and predictions as in `pipeline.frame.boxes`."""

    target_columns = ("boxes", "labels", "crowd", "masks")

    def __init__(self, names: Sequence[str] = ()) -> None:
        """`names` puts the classes in order; without it they are sorted."""
        self.names = list(names)

    def classes(self, train: pd.DataFrame) -> list[str]:
        """The names that occur. Raises UserError where there is no box at all, or one with another name."""
        found = {label for labels in train["labels"] for label in labels}
        if not found:
            raise UserError("no training image has a box: there is nothing to learn")
        unknown = sorted(found - set(self.names)) if self.names else []
        if unknown:
            raise UserError(f"unknown class {unknown[0]!r} in the training data")
        return [name for name in self.names if name in found] or sorted(found)

    def strata(self, train: pd.DataFrame) -> pd.Series:
        """The rarest class of each image, or that it has none. Raises UserError for a box outside."""
        for row in train.itertuples():
            boxes = box_array(row.boxes)
            if len(boxes) and (boxes.min() < -1 or (boxes[:, 2:] - 1 > [row.width, row.height]).any()):
                raise UserError(
                    f"image {row.image_id} ({row.width} x {row.height} pixels) has a box that ends outside: "
                    "are the annotations those of another size or rotation?"
                )
        counts = Counter(label for labels in train["labels"] for label in set(labels))
        rarest = [
            min(set(labels), key=lambda name: (counts[name], name), default="") for labels in train["labels"]
        ]
        return pd.Series(rarest, index=train.index)

    def targets(self, frame: pd.DataFrame, classes: Sequence[str], config: Config) -> Boxes:
        """Lists of boxes."""
        return Boxes(frame, classes, config.augment, config.model.mask_head)

    def train_transform(self, augment: AugmentConfig, preprocess: Preprocess) -> A.Compose:
        """The same geometry for image, boxes and masks."""
        return detection_transform(augment, preprocess)

    def build_model(self, config: ModelConfig, classes: Sequence[str], load: bool = True) -> nn.Module:
        """A detector on any timm backbone."""
        return build_detector(config, len(classes), load)

    def draw(
        self, image: np.ndarray, target: dict[str, torch.Tensor], classes: Sequence[str]
    ) -> tuple[np.ndarray, str]:
        """Boxes and names over the image; how many."""
        names = [classes[label] for label in target["labels"].tolist()]
        colors = [(44, 160, 44)] * len(names)
        return draw_boxes(image, target["boxes"].numpy(), names, colors), f"{len(names)} boxes"

    def mixer(self, augment: AugmentConfig, classes: Sequence[str]) -> Mixer:
        """Nothing. Raises UserError where mixup or CutMix is asked for."""
        if augment.mixup or augment.cutmix:
            raise UserError("augment.mixup and augment.cutmix are for classification: set them to 0")
        return lambda images, targets: (images, targets)

    def objective(self, config: TrainConfig, targets: Targets) -> "SumOfLosses":
        """The detector's own losses."""
        return SumOfLosses()

    def predict(self, model: nn.Module, request: Request) -> Iterator[pd.DataFrame]:
        """image_id and lists of boxes, scores and labels."""
        return predict_boxes(model, request)

    def average(self, frames: Sequence[pd.DataFrame], folder: Path, config: PredictConfig) -> pd.DataFrame:
        """Boxes fused as those of several views are. Masks of several models have no mean: one model's are
        kept as they are, those of several are dropped."""
        if len(frames) == 1:
            return frames[0]
        classes = sorted({label for frame in frames for labels in frame["labels"] for label in labels})
        rows = zip(*(frame.itertuples() for frame in frames), strict=True)
        fused = [fuse([from_frame(row, classes) for row in same], config) for same in rows]
        return to_frame(frames[0]["image_id"].tolist(), fused, classes)

    def report(
        self, truth: pd.DataFrame, oof: pd.DataFrame, images: Images, classes: Sequence[str], folder: Path
    ) -> list[Path]:
        """Boxes over images, precision against recall, kinds of mistakes."""
        row_of = pd.Series(range(len(images)), index=images.frame["image_id"])
        pictures = []
        for row in np.unique(np.linspace(0, len(oof) - 1, SHOWN, dtype=int)).tolist():
            image_id = oof["image_id"].iat[row]
            scores = np.asarray(oof["scores"].iat[row], dtype=float)
            shown = np.flatnonzero(scores >= SHOWN_SCORE)
            pictures.append(
                Detections(
                    images.read(int(row_of[image_id])),
                    f"{image_id}",
                    box_array(oof["boxes"].iat[row])[shown],
                    [oof["labels"].iat[row][i] for i in shown],
                    scores[shown].tolist(),
                    truth["boxes"].iat[row],
                    list(truth["labels"].iat[row]),
                )
            )
        return [
            plot_detections(pictures, folder / "boxes.png"),
            plot_precision_recall(precision_recall(truth, oof, classes), folder / "precision_recall.png"),
            plot_breakdown(break_down(truth, oof), folder / "breakdown.png"),
        ]


class SumOfLosses:
    """See `pipeline.tasks.task.Objective`."""

    def __call__(self, model: nn.Module, images: torch.Tensor, targets: list) -> torch.Tensor:
        """Sum of what the detector returns in training."""
        return sum(model(images, targets).values())
