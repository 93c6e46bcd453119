"""One class for each pixel."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import albumentations as A
import numpy as np
import pandas as pd
import torch
from torch import nn

from pipeline.base.errors import UserError
from pipeline.base.progress import progress
from pipeline.config.config import AugmentConfig, Config, ModelConfig, PredictConfig, TrainConfig
from pipeline.inputs.batches import Images
from pipeline.inputs.transforms import Preprocess, segmentation_transform
from pipeline.networks.segmentation.segmenter import build_segmenter
from pipeline.prediction.predict import Request
from pipeline.tasks.segmentation.confusion import Confusion
from pipeline.tasks.segmentation.losses import LogitAdjusted, build_loss
from pipeline.tasks.segmentation.palette import read_mask
from pipeline.tasks.segmentation.pictures import overlay, plot_class_iou, plot_panels
from pipeline.tasks.segmentation.predict import map_path, predict_maps
from pipeline.tasks.segmentation.stored import average_maps, load_map, save_map
from pipeline.tasks.task import Mixer, OutputLoss

IGNORE = 255
"""Mask value of pixels that count neither in the loss nor in the score."""
PANELS = 8
"""Images shown in the report."""
COUNTED = 1000
"""Most masks whose pixels are counted for the classes' shares."""


class Segmentation:
    """Truth: a ``mask`` column with the path of each image's mask file. Predictions: ``map_file`` with the
    path of each image's probabilities (C, H, W), see `pipeline.tasks.segmentation.stored`, its ``height`` and
    ``width``."""

    target_columns = ("mask",)

    def __init__(self, classes: Sequence[str], colors: np.ndarray) -> None:
        """`classes` by mask value, background first; `colors` uint8 (K, 3) by mask value, one for each class
        or more."""
        self.names, self.colors = list(classes), colors

    def classes(self, train: pd.DataFrame) -> list[str]:
        """The names given: masks hold numbers alone."""
        return list(self.names)

    def read(self, path: str, image_id: str) -> np.ndarray:
        """One mask, uint8 (H, W). Raises UserError where it is unreadable or has unknown values."""
        return read_mask(path, image_id, len(self.names), self.colors)

    def strata(self, train: pd.DataFrame) -> pd.Series:
        """The rarest class of each image. Reads every mask, so that a broken one is found before training."""
        found = []
        with progress("read masks", len(train), "masks") as advance:
            for row in train.itertuples():
                mask = self.read(row.mask, row.image_id)
                _check_size(row.image_id, row.mask, mask.shape, (row.height, row.width))
                found.append([int(value) for value in np.unique(mask) if value not in (0, IGNORE)])
                advance(1)
        counts = Counter(value for values in found for value in values)
        rarest = [min(values, key=lambda value: (counts[value], value), default=0) for values in found]
        return pd.Series([self.names[value] for value in rarest], index=train.index)

    def targets(self, frame: pd.DataFrame, classes: Sequence[str], config: Config) -> "Masks":
        """Masks, int64 (B, S, S) in batches."""
        return Masks(frame["mask"].tolist(), frame["image_id"].tolist(), self.read)

    def train_transform(self, augment: AugmentConfig, preprocess: Preprocess) -> A.Compose:
        """The same geometry for image and mask."""
        return segmentation_transform(augment, preprocess, IGNORE)

    def build_model(self, config: ModelConfig, classes: Sequence[str], load: bool = True) -> nn.Module:
        """Any timm encoder with a decoder."""
        return build_segmenter(config, len(classes), load)

    def draw(self, image: np.ndarray, target: torch.Tensor, classes: Sequence[str]) -> tuple[np.ndarray, str]:
        """The mask's colours over the image; the names of the classes in it."""
        mask = target.numpy().astype("uint8")
        names = [classes[value] for value in np.unique(mask) if 0 < value < len(classes)]
        return overlay(image, mask, self.colors, 0.5), "\n".join(names[:2])

    def mixer(self, augment: AugmentConfig, classes: Sequence[str]) -> Mixer:
        """Nothing. Raises UserError where mixup or CutMix is asked for."""
        if augment.mixup or augment.cutmix:
            raise UserError("augment.mixup and augment.cutmix are for classification: set them to 0")
        return lambda images, targets: (images, targets)

    def objective(self, config: TrainConfig, targets: "Masks") -> OutputLoss:
        """The sum of losses that ``train.loss`` names, of adjusted logits where that is asked for."""
        if not config.logit_adjustment:
            return OutputLoss(build_loss(config.loss, config.label_smoothing))
        adjust = partial(LogitAdjusted, pixels=targets.pixels(len(self.names)), tau=config.logit_adjustment)
        return OutputLoss(build_loss(config.loss, config.label_smoothing, adjust))

    def predict(self, model: nn.Module, request: Request) -> Iterator[pd.DataFrame]:
        """image_id, map_file, height and width, an image at a time."""
        return predict_maps(model, request, len(self.names))

    def average(self, frames: Sequence[pd.DataFrame], folder: Path, config: PredictConfig) -> pd.DataFrame:
        """Mean of the probabilities, one image in memory at a time; written to `folder`."""
        if len(frames) == 1:
            return frames[0]
        files = []
        for row, image_id in enumerate(frames[0]["image_id"]):
            files.append(str(map_path(folder, image_id)))
            save_map(Path(files[-1]), average_maps([Path(frame["map_file"].iat[row]) for frame in frames]))
        return frames[0].assign(map_file=files)

    def confusion(self, truth: pd.DataFrame, predictions: pd.DataFrame) -> Confusion:
        """Counts of pixels over all images; the frames hold the same ids in the same order."""
        total = Confusion(len(self.names))
        for image_id, mask, map_file in _joined(truth, predictions):
            total.add(self.read(mask, image_id), load_map(Path(map_file)).argmax(axis=0))
        return total

    def report(
        self, truth: pd.DataFrame, oof: pd.DataFrame, images: Images, classes: Sequence[str], folder: Path
    ) -> list[Path]:
        """IoU of every class, and the images with the lowest share of right pixels."""
        total, accuracy = Confusion(len(classes)), []
        for image_id, mask, map_file in _joined(truth, oof):
            one = Confusion(len(classes))
            one.add(self.read(mask, image_id), load_map(Path(map_file)).argmax(axis=0))
            accuracy.append(one.pixel_accuracy)
            total.counts += one.counts
        row_of = pd.Series(range(len(images)), index=images.frame["image_id"])
        order = np.argsort(accuracy, kind="stable")
        # The worst, and for comparison some from the middle and the top.
        shown = [
            *order[: PANELS // 2],
            *order[np.linspace(len(order) // 2, len(order) - 1, PANELS // 2, dtype=int)],
        ]
        panels = []
        for position in dict.fromkeys(int(value) for value in shown):
            image_id = oof["image_id"].iat[position]
            predicted = load_map(Path(oof["map_file"].iat[position])).argmax(axis=0).astype("uint8")
            image = images.read(int(row_of[image_id]))
            mask = self.read(truth["mask"].iat[position], image_id)
            panels.append((image, mask, predicted, f"{image_id}: {100 * accuracy[position]:.0f} % right"))
        return [
            plot_class_iou(total.iou, list(classes), folder / "class_iou.png"),
            plot_panels(panels, self.colors, list(classes), folder / "panels.png"),
        ]


class Masks:
    """The masks of some images, read when they are needed."""

    whole = None

    def __init__(self, paths: list[str], ids: list[str], read: Callable[[str, str], np.ndarray]) -> None:
        self.paths, self.ids, self.read = paths, ids, read

    def pixels(self, classes: int) -> np.ndarray:
        """int64 (classes,): pixels of each class in at most `COUNTED` of the masks, evenly chosen."""
        step, total = -(-len(self.paths) // COUNTED), np.zeros(IGNORE + 1, dtype=np.int64)
        with progress("count pixels", len(self.paths[::step]), "masks") as advance:
            for path, image_id in zip(self.paths[::step], self.ids[::step], strict=True):
                total += np.bincount(self.read(path, image_id).ravel(), minlength=IGNORE + 1)
                advance(1)
        return total[:classes]

    def example(self, index: int, read: Callable[[int], np.ndarray], transform: A.Compose) -> tuple:
        """See `pipeline.inputs.batches.Targets`."""
        image, mask = read(index), self.read(self.paths[index], self.ids[index])
        _check_size(self.ids[index], self.paths[index], mask.shape, image.shape[:2])
        both = transform(image=image, mask=mask)
        return both["image"], both["mask"]

    def batch(self, truths: Sequence[np.ndarray]) -> torch.Tensor:
        """int64 (B, S, S)."""
        return torch.from_numpy(np.stack(truths)).long()


def _joined(truth: pd.DataFrame, predictions: pd.DataFrame) -> Iterator[tuple[str, str, str]]:
    return zip(predictions["image_id"], truth["mask"], predictions["map_file"], strict=True)


def _check_size(image_id: str, path: str, mask: tuple[int, int], image: tuple[int, int]) -> None:
    if tuple(mask) != tuple(image):
        raise UserError(
            f"image {image_id}: its mask {path} has {mask[1]} x {mask[0]} pixels and the image "
            f"{image[1]} x {image[0]}: replace one of them"
        )
