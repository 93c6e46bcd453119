"""What tasks have in common whose classes exclude one another: probabilities that sum to 1."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import torch
from torch import nn

from pipeline.inputs.batches import Targets
from pipeline.networks.joint import Given
from pipeline.tasks.class_losses import ClassTrainConfig, class_loss, predicting
from pipeline.tasks.task import OutputLoss
from pipeline.tasks.whole_image import WholeImageConfig, WholeImageTask


@dataclass(frozen=True, kw_only=True)
class ExclusiveConfig(WholeImageConfig):
    """One experiment of such a task."""

    train: ClassTrainConfig = field(default_factory=ClassTrainConfig)


ConfigT = TypeVar("ConfigT", bound=ExclusiveConfig)


class ExclusiveTask(WholeImageTask[ConfigT]):
    """A task whose predictions frame has a probability column for each class, rows summing to 1."""

    def build_network(
        self, config: ConfigT, classes: Sequence[str], given: Given, load: bool = True
    ) -> nn.Module:
        """See WholeImageTask."""
        return predicting(super().build_network(config, classes, given, load), config.train)

    def objective(self, config: ConfigT, targets: Targets) -> OutputLoss:
        """The loss that ``train.loss`` names."""
        assert targets.fixed is not None
        return OutputLoss(class_loss(config.train, targets.fixed))

    def as_targets(self, values: np.ndarray) -> np.ndarray:
        """Shares, whose rows sum to 1."""
        return values / values.sum(axis=1, keepdims=True).clip(1e-12)

    def sureness(self, values: np.ndarray) -> np.ndarray:
        """That of the most probable class."""
        return self.as_targets(values).max(axis=1)

    def activate(self, outputs: torch.Tensor) -> torch.Tensor:
        """Softmax."""
        return outputs.softmax(dim=1)
