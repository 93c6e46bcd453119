"""What the pipeline asks of a task."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import pandas as pd
import torch
from torch import nn

from pipeline.config import AugmentConfig, ModelConfig, TrainConfig
from pipeline.data.batches import Images


class Task(Protocol):
    """Classification, segmentation, detection: how targets look, which network, which loss, which
    predictions."""

    target_columns: tuple[str, ...]
    """Columns of a train frame that hold the truth."""

    def classes(self, train: pd.DataFrame) -> list[str]:
        """Class names, in the order of every model output."""

    def strata(self, train: pd.DataFrame) -> pd.Series:
        """One value per row whose shares every fold should keep."""

    def targets(self, frame: pd.DataFrame, classes: Sequence[str]) -> torch.Tensor:
        """One target per row."""

    def build_model(self, config: ModelConfig, classes: Sequence[str], load: bool = True) -> nn.Module:
        """A network for `classes`; `load` as in `pipeline.models.build`."""

    def caption(self, target: torch.Tensor, classes: Sequence[str]) -> str:
        """One image's target, mixed or not, in words."""

    def mixer(self, augment: AugmentConfig, classes: Sequence[str]) -> "Mixer":
        """The transform of a whole training batch, images and targets together."""

    def loss(self, config: TrainConfig) -> nn.Module:
        """Module called with float32 outputs and targets."""

    def activate(self, outputs: torch.Tensor) -> torch.Tensor:
        """Outputs to probabilities."""

    def to_frame(
        self, ids: Sequence[str], probabilities: torch.Tensor, classes: Sequence[str]
    ) -> pd.DataFrame:
        """Predictions frame of these images."""

    def average(self, frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
        """Mean of several predictions frames over the same ids in the same order."""

    def report(
        self, truth: pd.DataFrame, oof: pd.DataFrame, images: Images, classes: Sequence[str], folder: Path
    ) -> list[Path]:
        """Pictures of what the model gets right and wrong; returns the files written."""


class Mixer(Protocol):
    """Maps a batch of images and targets to a batch of images and targets."""

    def __call__(self, images: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]: ...
