"""Checkpoints: weights with the config, class names and preprocessing they belong to. Plain tensors and
values only."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pipeline.base.device import channels_last
from pipeline.base.errors import UserError
from pipeline.base.files import atomic_path
from pipeline.config.config import Config
from pipeline.inputs.preprocess import Preprocess
from pipeline.tasks.task import Task


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """All that prediction needs.

    Attributes
    ----------
    state : the network's tensors.
    training : optimiser, scaler, average and progress, to resume from; empty in a checkpoint made for
    prediction.
    """

    state: dict[str, torch.Tensor]
    config: Config
    classes: list[str]
    preprocess: Preprocess
    training: dict[str, Any]

    def save(self, path: Path) -> None:
        """Write atomically: a killed process leaves the previous checkpoint whole."""
        value = {
            "state": self.state,
            "config": self.config.to_json(),
            "classes": self.classes,
            "preprocess": self.preprocess.to_json(),
            "training": self.training,
        }
        # Through a file of Python's: with a path, torch hides why it could not write.
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            torch.save(value, file)

    @classmethod
    def load(cls, path: Path, config: type[Config]) -> "Checkpoint":
        """Read to the CPU, tensors and plain values only. Raises UserError where that fails.

        Parameters
        ----------
        config : the task's options.
        """
        try:
            value = torch.load(path, map_location="cpu", weights_only=True)
            return cls(
                state=value["state"],
                config=config.from_json(value["config"]),
                classes=value["classes"],
                preprocess=Preprocess.from_json(value["preprocess"]),
                training=value["training"],
            )
        except Exception as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise UserError(
                f"{path} is no checkpoint of this version ({reason}): delete it to train again"
            ) from error

    def build(self, task: Task[Any], device: torch.device) -> nn.Module:
        """The network with these weights, ready to predict."""
        model = task.build_network(self.config, self.classes, self.preprocess.given, load=False)
        model.load_state_dict(self.state)
        return channels_last(model, device).eval()
