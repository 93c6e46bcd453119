"""Boxes with a class each."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import albumentations as A
import numpy as np
import pandas as pd
import torch
from torch import nn

from pipeline.base.errors import UserError
from pipeline.frame.boxes import box_array
from pipeline.frame.submission import SubmissionFormat
from pipeline.inputs.batches import Targets
from pipeline.inputs.preprocess import Preprocess
from pipeline.metrics.metric import Needs
from pipeline.networks.detection.detector import build_detector, check_detector
from pipeline.networks.detection.parts import Detector
from pipeline.prediction.request import Request
from pipeline.tasks.detection.augment import detection_transform
from pipeline.tasks.detection.columns import BoxString, box_cells
from pipeline.tasks.detection.config import Config, PredictConfig
from pipeline.tasks.detection.pictures import draw_boxes
from pipeline.tasks.detection.predict import from_frame, fuse, predict_boxes, to_frame
from pipeline.tasks.detection.report import report
from pipeline.tasks.detection.targets import Boxes
from pipeline.tasks.task import ReportRequest, Rows, Task


class Detection(Task[Config]):
    """Truth and predictions as in `pipeline.frame.boxes`."""

    config = Config
    target_columns = ("boxes", "labels", "crowd", "masks")

    def __init__(
        self,
        names: Sequence[str] = (),
        id_column: str = "image_id",
        boxes_column: str = "PredictionString",
    ) -> None:
        """`names` puts the classes in order; without it they are sorted. The columns are those of the usual
        submission."""
        self.names = list(names)
        self.id_column, self.boxes_column = id_column, boxes_column

    def check(self, config: Config) -> None:
        """The backbone and the detector must exist, and have masks where they are asked for."""
        super().check(config)
        check_detector(config.model.detector, config.model.mask_head)

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
        columns = (train[name] for name in ("image_id", "boxes", "width", "height"))
        for image_id, cell, width, height in zip(*columns, strict=True):
            boxes = box_array(cell)
            if len(boxes) and (boxes.min() < -1 or (boxes[:, 2:] - 1 > [width, height]).any()):
                raise UserError(
                    f"image {image_id} ({width} x {height} pixels) has a box that ends outside: "
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

    def train_transform(self, config: Config, preprocess: Preprocess) -> A.Compose:
        """The same geometry for image, boxes and masks."""
        return detection_transform(config.augment, preprocess)

    def build_model(self, config: Config, classes: Sequence[str], load: bool = True) -> nn.Module:
        """A detector on any timm backbone."""
        model = config.model
        return build_detector(model, model.detector, len(classes), model.mask_head, load)

    def draw(
        self, image: np.ndarray, target: dict[str, torch.Tensor], classes: Sequence[str]
    ) -> tuple[np.ndarray, str]:
        """Boxes and names over the image; how many."""
        names = [classes[int(label)] for label in target["labels"].tolist()]
        colors = [(44, 160, 44)] * len(names)
        return draw_boxes(image, target["boxes"].numpy(), names, colors), f"{len(names)} boxes"

    def objective(self, config: Config, targets: Targets) -> "SumOfLosses":
        """The detector's own losses."""
        return SumOfLosses()

    def predict(self, model: nn.Module, request: Request[PredictConfig]) -> Iterator[pd.DataFrame]:
        """image_id and lists of boxes, scores and labels."""
        return predict_boxes(cast(Detector, model), request)

    def average(self, frames: Sequence[pd.DataFrame], folder: Path, config: Config) -> pd.DataFrame:
        """Boxes fused as those of several views are. Masks of several models have no mean: one model's are
        kept as they are, those of several are dropped."""
        if len(frames) == 1:
            return frames[0]
        classes = sorted({label for frame in frames for labels in frame["labels"] for label in labels})
        rows = zip(*(frame.itertuples() for frame in frames), strict=True)
        fused = [fuse([from_frame(row, classes) for row in same], config.predict) for same in rows]
        return to_frame(frames[0]["image_id"].tolist(), fused, classes)

    def evidence(
        self, needs: Needs, truth: pd.DataFrame, predictions: pd.DataFrame, classes: Sequence[str]
    ) -> tuple[Rows, ...]:
        """The frames."""
        if needs not in ("boxes", "frames"):
            raise self.no_evidence(needs)
        return truth, predictions

    def report(self, request: ReportRequest) -> list[Path]:
        """See `pipeline.tasks.detection.report`."""
        return report(request)

    def submission_format(self, classes: Sequence[str]) -> SubmissionFormat:
        """An id and the boxes as text, with categories counted from 1."""
        categories = tuple(range(1, len(classes) + 1))
        return SubmissionFormat(self.id_column, {self.boxes_column: BoxString(categories)})

    def to_submission(self, predictions: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
        """The boxes of each image; an image may have none."""
        categories = {name: number for number, name in enumerate(classes, start=1)}
        cells = box_cells(predictions, categories)
        return pd.DataFrame({self.id_column: predictions["image_id"], self.boxes_column: cells})


class SumOfLosses:
    """See `pipeline.tasks.task.Objective`."""

    def __call__(self, model: nn.Module, images: torch.Tensor, targets: list) -> torch.Tensor:
        """Sum of what the detector returns in training."""
        return torch.stack([*model(images, targets).values()]).sum()
