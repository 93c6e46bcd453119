"""A trained detector as a graph: a fixed number of boxes for each image, suppressed by `ops.nms_padded`."""

from dataclasses import replace
from typing import ClassVar, cast

import torch
from torch import nn

from pipeline.base.errors import UserError
from pipeline.inputs.preprocess import Preprocess
from pipeline.networks.detection.parts import Detector
from pipeline.tasks.detection.config import PredictConfig
from pipeline.tasks.export import Graph


class DetectionGraph(Graph):
    """Letterboxed images, and their boxes in pixels of the images as they came."""

    outputs: ClassVar[dict[str, str]] = {
        "boxes": "float32 (N, M, 4): x1, y1, x2, y2 in pixels of the image, the best first; 0 beyond the "
        "last one",
        "scores": "float32 (N, M), 0 beyond the last one",
        "labels": "int64 (N, M): the number of the class, -1 beyond the last one",
    }
    averages: ClassVar[bool] = False

    def __init__(self, model: nn.Module, preprocess: Preprocess, predict: PredictConfig) -> None:
        # As prediction does: boxes outside a crop would be lost.
        fit = "resize" if preprocess.fit == "resize" else "letterbox"
        super().__init__(model, replace(preprocess, fit=fit))
        if not cast(Detector, model).raw_are_boxes:
            raise UserError(
                f"{type(model).__name__} cannot be exported: fcos, retinanet and faster_rcnn can "
                "(--model.detector)"
            )
        self.predict = predict

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """See the class."""
        placed = self.placed(images, "bilinear", center=False)
        new, old = (sides.flip(0).repeat(2).float() for sides in (placed.new, placed.old))
        borders = new.expand(images.shape[0], 1, 4)
        config, model = self.predict, cast(Detector, self.model)
        found = model.padded(
            self.normalised(placed.pixels), borders, config.min_score, config.nms_iou, config.max_boxes
        )
        return found["boxes"] * (old / new), found["scores"], found["labels"]
