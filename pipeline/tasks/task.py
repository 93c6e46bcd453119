"""What the pipeline asks of a task."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import albumentations as A
import numpy as np
import pandas as pd
import torch
from torch import nn

from pipeline.config.config import AugmentConfig, Config, ModelConfig, PredictConfig, TrainConfig
from pipeline.inputs.batches import Images, Targets
from pipeline.inputs.transforms import Preprocess
from pipeline.prediction.predict import Request


class Task(Protocol):
    """Classification, segmentation, detection: how targets look, which network, which loss, which
    predictions."""

    target_columns: tuple[str, ...]
    """Columns of a train frame that hold the truth."""

    def classes(self, train: pd.DataFrame) -> list[str]:
        """Class names, in the order of every model output."""

    def strata(self, train: pd.DataFrame) -> pd.Series:
        """One value per row whose shares every fold should keep."""

    def targets(self, frame: pd.DataFrame, classes: Sequence[str], config: Config) -> Targets:
        """The truth of these rows, for training."""

    def train_transform(self, augment: AugmentConfig, preprocess: Preprocess) -> A.Compose:
        """Random transform of an image with its truth to the network's input size."""

    def build_model(self, config: ModelConfig, classes: Sequence[str], load: bool = True) -> nn.Module:
        """A network for `classes`; `load` as in `pipeline.networks.build`."""

    def draw(self, image: np.ndarray, target: Any, classes: Sequence[str]) -> tuple[np.ndarray, str]:
        """A training image (uint8 (H, W, 3)) with its target, mixed or not, to look at; and a caption."""

    def mixer(self, augment: AugmentConfig, classes: Sequence[str]) -> "Mixer":
        """The transform of a whole training batch, images and targets together."""

    def objective(self, config: TrainConfig, targets: Targets) -> "Objective":
        """What training minimises; `targets` are the truth of all that is learned from."""

    def predict(self, model: nn.Module, request: Request) -> Iterator[pd.DataFrame]:
        """Predictions of the rows asked for, in order, a part at a time."""

    def average(self, frames: Sequence[pd.DataFrame], folder: Path, config: PredictConfig) -> pd.DataFrame:
        """Mean of several predictions frames over the same ids in the same order.

        `folder` is for files that a predictions frame refers to; `config` says how boxes are fused.
        """

    def report(
        self, truth: pd.DataFrame, oof: pd.DataFrame, images: Images, classes: Sequence[str], folder: Path
    ) -> list[Path]:
        """Pictures of what the model gets right and wrong; returns the files written."""


class Mixer(Protocol):
    """Maps a batch of images and targets to a batch of images and targets."""

    def __call__(self, images: torch.Tensor, targets: Any) -> tuple[torch.Tensor, Any]: ...


class Objective(Protocol):
    """Maps a network and a batch to a scalar float32 loss."""

    def __call__(self, model: nn.Module, images: torch.Tensor, targets: Any) -> torch.Tensor: ...


class OutputLoss:
    """A loss of the network's outputs, computed in float32 whatever the network computes in."""

    def __init__(self, loss: Callable[[torch.Tensor, Any], torch.Tensor]) -> None:
        self.loss = loss

    def __call__(self, model: nn.Module, images: torch.Tensor, targets: Any) -> torch.Tensor:
        """See Objective."""
        outputs = model(images)
        with torch.autocast(images.device.type, enabled=False):
            return self.loss(outputs.float(), targets)
