"""Boxes with a class each."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, cast

import albumentations as A
import numpy as np
import pandas as pd
import torch
from torch import nn

from pipeline.base.errors import UserError, name_some
from pipeline.base.parts import Part
from pipeline.base.progress import say
from pipeline.frame.boxes import box_array
from pipeline.frame.headers import tell_turned
from pipeline.frame.submission import SubmissionFormat
from pipeline.inputs.batches import Targets
from pipeline.inputs.preprocess import Preprocess
from pipeline.metrics.metric import Needs
from pipeline.networks.detection.detector import build_detector, check_detector
from pipeline.networks.detection.parts import Detector
from pipeline.prediction.request import Request
from pipeline.tasks.detection.augment import detection_transform, held_out_transform
from pipeline.tasks.detection.columns import BoxString, box_cells
from pipeline.tasks.detection.config import Config, PredictConfig
from pipeline.tasks.detection.export import DetectionGraph
from pipeline.tasks.detection.pictures import draw_boxes
from pipeline.tasks.detection.predict import from_frame, fuse, predict_boxes, to_frame
from pipeline.tasks.detection.report import report
from pipeline.tasks.detection.targets import Boxes, tell_vanishing
from pipeline.tasks.task import ReportRequest, Rows, Task

SHOWN = 0.3
"""Score from which on a box is drawn over a new image."""


class Detection(Task[Config]):
    """Truth and predictions as in `pipeline.frame.boxes`."""

    config = Config
    target_columns = ("boxes", "labels", "crowd", "masks")
    name_columns: ClassVar[tuple[str, ...]] = ("labels",)
    teachable: ClassVar[tuple[str, ...]] = ("hard",)

    def __init__(
        self,
        names: Sequence[str] = (),
        id_column: str = "image_id",
        boxes_column: str = "PredictionString",
        *,
        categories: Mapping[str, int] | None = None,
    ) -> None:
        """`names` puts the classes in order; without it they are those of `categories`, or sorted. The
        columns are those of the usual submission.

        Parameters
        ----------
        categories : class name -> the organiser's id in the submission, such as ``{"car": 1, "bus": 7}``;
            a COCO file has them. Without it the classes found are numbered from 1.
        """
        self.categories = None if categories is None else dict(categories)
        self.names = list(names) or list(self.categories or ())
        self.id_column, self.boxes_column = id_column, boxes_column

    def check(self, config: Config) -> None:
        """The backbone and the detector must exist, and have masks where they are asked for."""
        super().check(config)
        check_detector(config.model.detector, config.model.mask_head)
        ids = list((self.categories or {}).values())
        if len(set(ids)) < len(ids) or any(type(number) is not int for number in ids):
            raise UserError(
                f"Detection has the category ids {name_some(ids)}: give each a whole number of its own"
            )
        if config.pseudo.run is not None:
            if not config.pseudo.threshold:
                raise UserError(
                    "--pseudo takes every box, however low its score: set --pseudo.threshold, such as 0.5"
                )
            if config.model.mask_head or config.augment.copy_paste:
                raise UserError(
                    "pseudo-labels are boxes without masks: leave out --model.mask-head and "
                    "--augment.copy-paste, or --pseudo"
                )

    def classes(self, train: pd.DataFrame) -> list[str]:
        """The names that occur; says which of the names given do not.

        Raises
        ------
        UserError : no box that counts, or one with another name, or with one that has no category id.
        """
        rows = zip(train["labels"], train["crowd"], strict=True)
        boxes = [box for labels, crowd in rows for box in zip(labels, crowd, strict=True)]
        found, counted = {label for label, _ in boxes}, {label for label, crowd in boxes if not crowd}
        if not counted:
            why = "all boxes are marked as crowd or difficult" if boxes else "no training image has a box"
            raise UserError(f"{why}: there is nothing to learn")
        unknown = sorted(found - set(self.names)) if self.names else []
        if unknown:
            raise UserError(
                f"unknown class {unknown[0]!r} in the training data, whose classes are "
                f"{name_some(self.names)}; correct the labels, or the names that Detection is given"
            )
        if self.categories is not None and (without := sorted(found - set(self.categories))):
            raise UserError(
                f"the class {without[0]!r} has no id in the categories that Detection is given: add it"
            )
        if lacking := [name for name in self.names or sorted(found) if name not in counted]:
            say(
                f"warning: {len(lacking)} class(es) without a box that counts, which cannot be learnt: "
                f"{name_some(lacking)}"
            )
        return [name for name in self.names if name in found] or sorted(found)

    def strata(self, train: pd.DataFrame) -> pd.Series:
        """The rarest class of each image, or that it has none. Raises UserError for a box outside."""
        tell_turned(train, "their boxes are")
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

    def pseudo_labels(
        self,
        test: pd.DataFrame,
        predictions: pd.DataFrame,
        classes: Sequence[str],
        threshold: float,
        folder: Path,
    ) -> pd.DataFrame:
        """See Task. Images without a box that is sure are left out: what else they show is not known."""
        rows: dict[str, list[list]] = {name: [] for name in ("boxes", "labels", "crowd", "masks")}
        columns = (predictions[name] for name in ("boxes", "labels", "scores"))
        for boxes, labels, scores in zip(*columns, strict=True):
            sure = [place for place, score in enumerate(scores) if score >= threshold]
            rows["boxes"].append(box_array(boxes)[sure].tolist())
            rows["labels"].append([labels[place] for place in sure])
            rows["crowd"].append([0] * len(sure))
            rows["masks"].append([""] * len(sure))
        added = test.assign(**{name: pd.Series(cells, index=test.index) for name, cells in rows.items()})
        return added[added["labels"].str.len() > 0]

    def targets(self, frame: pd.DataFrame, classes: Sequence[str], config: Config) -> Boxes:
        """Lists of boxes; says how many are too small at the network's input size."""
        tell_vanishing(frame, config.model.image_size)
        return Boxes(frame, classes, config.augment, config.model.mask_head)

    def train_transform(self, config: Config, preprocess: Preprocess) -> A.Compose:
        """The same geometry for image, boxes and masks."""
        return detection_transform(config.augment, preprocess)

    def held_out(
        self, frame: pd.DataFrame, classes: Sequence[str], config: Config, preprocess: Preprocess
    ) -> tuple[Boxes, A.Compose]:
        """Whole images, one by one."""
        alone = replace(config.augment, mosaic=0.0, copy_paste=0.0)
        return Boxes(frame, classes, alone, config.model.mask_head), held_out_transform(preprocess)

    def build_model(
        self, config: Config, classes: Sequence[str], load: bool = True, channels: int = 3
    ) -> nn.Module:
        """A detector on any timm backbone."""
        model = config.model
        return build_detector(model, model.detector, len(classes), model.mask_head, load, channels)

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

    def finite(self, predictions: pd.DataFrame) -> np.ndarray:
        """bool (N,): whether all boxes and scores of an image are finite."""
        pairs = zip(predictions["boxes"], predictions["scores"], strict=True)
        rows = [np.isfinite(box_array(one)).all() and np.isfinite(scores).all() for one, scores in pairs]
        return np.array(rows, dtype=bool)

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

    def report(self, request: ReportRequest) -> Iterator[Part]:
        """See `pipeline.tasks.detection.report`."""
        return report(request)

    def picture(
        self, image: np.ndarray, prediction: Mapping[str, Any], classes: Sequence[str]
    ) -> tuple[np.ndarray, str]:
        """The boxes with a score of at least `SHOWN`, and how many there are in all."""
        rows = [row for row, score in enumerate(prediction["scores"]) if score >= SHOWN]
        names = [f"{prediction['labels'][row]} {prediction['scores'][row]:.2f}" for row in rows]
        boxes = box_array(prediction["boxes"])[rows]
        told = f"{len(rows)} of {len(prediction['scores'])} boxes with a score of {SHOWN} or more"
        return draw_boxes(image, boxes, names, [(214, 120, 0)] * len(rows)), told

    def graph(self, model: nn.Module, preprocess: Preprocess, config: Config) -> DetectionGraph:
        """See `pipeline.tasks.detection.export`; one view, no tiles, no masks."""
        return DetectionGraph(model, preprocess, config.predict)

    def submission_format(self, classes: Sequence[str]) -> SubmissionFormat:
        """An id and the boxes as text, with the ids of all categories."""
        ids = tuple(self._categories(classes).values())
        return SubmissionFormat(self.id_column, {self.boxes_column: BoxString(ids)})

    def to_submission(self, predictions: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
        """The boxes of each image; an image may have none, and where all have, that is said."""
        cells = box_cells(predictions, self._categories(classes))
        if (cells == "").all():
            say("warning: the submission has no box in any image")
        return pd.DataFrame({self.id_column: predictions["image_id"], self.boxes_column: cells})

    def _categories(self, classes: Sequence[str]) -> Mapping[str, int]:
        return self.categories or {name: number for number, name in enumerate(classes, start=1)}


class SumOfLosses:
    """See `pipeline.tasks.task.Objective`."""

    def __call__(self, model: nn.Module, images: torch.Tensor, targets: list) -> torch.Tensor:
        """Sum of what the detector returns in training."""
        return torch.stack([*model(images, targets).values()]).sum()
