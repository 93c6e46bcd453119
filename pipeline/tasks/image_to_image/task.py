"""An image for each image, of the same size."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import albumentations as A
import cv2
import numpy as np
import pandas as pd
import torch

from pipeline.base.parallel import map_ahead
from pipeline.base.parts import Part
from pipeline.base.progress import progress
from pipeline.frame.headers import tell_turned
from pipeline.frame.pixel_rows import PixelRows
from pipeline.inputs.batches import Targets
from pipeline.inputs.mask_augment import held_out_transform, segmentation_transform
from pipeline.inputs.preprocess import Preprocess
from pipeline.metrics.images import error_sums
from pipeline.metrics.metric import Needs
from pipeline.networks.segmentation.segmenter import build_segmenter
from pipeline.prediction.stored import load_values
from pipeline.readers.reader import Reader
from pipeline.readers.stored import Stored
from pipeline.tasks.image_to_image.config import Config
from pipeline.tasks.image_to_image.network import CloseSegmenter
from pipeline.tasks.image_to_image.report import report, shown
from pipeline.tasks.image_to_image.targets import ABSENT, TargetFiles, TargetImages, masked_loss
from pipeline.tasks.pixelwise import PixelwiseTask
from pipeline.tasks.task import OutputLoss, ReportRequest, Rows

STRATA = 5
"""Groups of images by how bright their targets are, whose shares every fold keeps."""


class ImageToImage(PixelwiseTask[Config]):
    """Truth: a ``target`` column with the path of each image's target. Predictions: see `PixelwiseTask`;
    values from 0 black to 1 white, in 65,536 levels."""

    config = Config
    target_columns = ("target",)
    file_columns = ("target",)
    map_type: ClassVar[type[np.unsignedinteger]] = np.uint16

    def __init__(
        self,
        channels: int = 1,
        rows: PixelRows | None = None,
        *,
        reader: Reader | None = None,
        white: float | None = None,
    ) -> None:
        """Parameters
        ----------
        channels : of the targets: 1 for grey, 3 for colours.
        rows : the submission's; by default ``<image>_<row>_<column>`` and a value for each channel.
        reader : of the targets; by default image files as they are stored.
        white : stored value of a target that is 1, such as 4095; see `TargetFiles`.
        """
        names = ("value",) if channels == 1 else tuple(f"value_{place}" for place in range(channels))
        self.rows = rows or PixelRows(value_columns=names)
        self.files = TargetFiles(reader or Stored(), channels, white)

    def check(self, config: Config) -> None:
        """The encoder and the decoder must exist, and each channel have its column."""
        super().check(config)
        self.rows.check(self.files.channels)

    def classes(self, train: pd.DataFrame) -> list[str]:
        """The channels, called as the submission's columns are."""
        return list(self.rows.value_columns)

    def strata(self, train: pd.DataFrame) -> pd.Series:
        """How bright the targets are, in fifths. Reads every one, so that a broken one is found before
        training."""
        tell_turned(train, "their targets are")
        means = []
        with progress("read targets", len(train), "images") as advance:
            columns = (train[name] for name in ("image_id", "target", "height", "width"))
            for image_id, path, height, width in zip(*columns, strict=True):
                means.append(float(self.files.read(path, image_id, (height, width)).mean()))
                advance(1)
        places = pd.Series(means, index=train.index).rank(method="first", pct=True)
        return (places * min(STRATA, len(train))).map(np.ceil).astype("int64").astype("str")

    def targets(self, frame: pd.DataFrame, classes: Sequence[str], config: Config) -> TargetImages:
        """Targets, float32 (B, C, S, S) in batches."""
        return TargetImages(frame["target"].tolist(), frame["image_id"].tolist(), self.files)

    def train_transform(self, config: Config, preprocess: Preprocess) -> A.Compose:
        """The same geometry for image and target; colours of the image alone."""
        return segmentation_transform(config.augment, preprocess, ABSENT, cv2.INTER_LINEAR)

    def held_out(
        self, frame: pd.DataFrame, classes: Sequence[str], config: Config, preprocess: Preprocess
    ) -> tuple[TargetImages, A.Compose]:
        """See `held_out_transform`; what is padded does not count."""
        transform = held_out_transform(preprocess, ABSENT, cv2.INTER_LINEAR)
        return self.targets(frame, classes, config), transform

    def build_model(
        self, config: Config, classes: Sequence[str], load: bool = True, channels: int = 3
    ) -> CloseSegmenter:
        """Any timm encoder with a decoder, and a close look at each pixel."""
        model, outputs = config.model, self.outputs(classes)
        segmenter = build_segmenter(model, model.decoder, outputs, model.drop_rate, load, channels)
        return CloseSegmenter(segmenter, channels, outputs)

    def draw(self, image: np.ndarray, target: torch.Tensor, classes: Sequence[str]) -> tuple[np.ndarray, str]:
        """The image beside its target."""
        pictures = (image, shown(target.permute(1, 2, 0).numpy()))
        return np.concatenate(pictures, axis=1), "image, target"

    def objective(self, config: Config, targets: Targets) -> OutputLoss:
        """The loss that ``train.loss`` names."""
        return OutputLoss(masked_loss(config.train.loss))

    def activate(self, outputs: torch.Tensor) -> torch.Tensor:
        """Black below 0, white above 1."""
        return outputs.clamp(0, 1)

    def evidence(
        self, needs: Needs, truth: pd.DataFrame, predictions: pd.DataFrame, classes: Sequence[str]
    ) -> tuple[Rows, ...]:
        """Sums of errors (N, 3)."""
        if needs == "frames":
            return truth, predictions
        if needs != "errors":
            raise self.no_evidence(needs)
        ids, targets, maps = (
            frame[name].tolist()
            for frame, name in ((truth, "image_id"), (truth, "target"), (predictions, "map_file"))
        )

        def summed(place: int) -> np.ndarray:
            found = load_values(maps[place])
            target = self.files.read(targets[place], ids[place], found.shape[1:])
            return error_sums(target.transpose(2, 0, 1), found)

        sums = list(map_ahead(summed, range(len(ids))))
        return (np.stack(sums) if sums else np.zeros((0, 3)),)

    def report(self, request: ReportRequest) -> Iterator[Part]:
        """See `pipeline.tasks.image_to_image.report`."""
        return report(request, self.files)

    def picture(
        self, image: np.ndarray, prediction: Mapping[str, Any], classes: Sequence[str]
    ) -> tuple[np.ndarray, str]:
        """The image beside what is made of it."""
        found = shown(load_values(prediction["map_file"]).transpose(1, 2, 0))
        return np.concatenate((image, found), axis=1), "image, prediction"

    def submission_format(self, classes: Sequence[str]) -> PixelRows:
        """A row for each pixel."""
        return self.rows

    def to_submission(self, predictions: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
        """The values of each pixel."""
        pairs = zip(predictions["image_id"], predictions["map_file"], strict=True)
        return pd.concat(
            [self.rows.rows(image_id, load_values(path)) for image_id, path in pairs], ignore_index=True
        )
