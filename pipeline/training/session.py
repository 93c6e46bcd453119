"""Everything that changes while a fold trains, and how it is saved and picked up again."""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from timm.utils.model_ema import ModelEmaV3
from torch import nn, optim

from pipeline.base.device import amp_dtype
from pipeline.config.config import Config
from pipeline.config.groups import TrainConfig
from pipeline.inputs.preprocess import Preprocess
from pipeline.networks.arcface import ArcFaceHead
from pipeline.networks.groups import Group, build_optimizer, parameter_groups
from pipeline.training.checkpoint import Checkpoint
from pipeline.training.history import Epoch
from pipeline.training.schedule import lr_factor


def epoch_of(row: list[Any]) -> Epoch:
    """The epoch that a checkpoint keeps as a list of its values; one of an older version has fewer."""
    return Epoch(**dict(zip((field.name for field in fields(Epoch)), row, strict=False)))


@dataclass(kw_only=True)
class Session:
    """A fold's network, optimiser and history.

    Attributes
    ----------
    dtype : type of mixed precision, or None for float32.
    ema : averaged copy of the network, or None.
    """

    model: nn.Module
    groups: list[Group]
    optimizer: optim.Optimizer
    scaler: torch.amp.GradScaler
    ema: ModelEmaV3 | None
    dtype: torch.dtype | None
    history: list[Epoch] = field(default_factory=list)

    @classmethod
    def start(cls, model: nn.Module, config: TrainConfig, device: torch.device) -> "Session":
        """A session before its first step, for `model` on `device`."""
        groups = parameter_groups(model, config)
        dtype = amp_dtype(device) if config.amp != "off" else None
        return cls(
            model=model,
            groups=groups,
            optimizer=build_optimizer(groups, config),
            scaler=torch.amp.GradScaler(device.type, enabled=dtype == torch.float16),
            ema=ModelEmaV3(model, decay=config.ema, use_warmup=True) if config.ema else None,
            dtype=dtype,
        )

    @property
    def predictor(self) -> nn.Module:
        """The network to predict with: the average where there is one."""
        return self.ema.module if self.ema else self.model

    def set_lr(self, step: int, total: int, config: TrainConfig) -> float:
        """Set every group's learning rate for optimiser step `step` of `total`; returns the peak group's."""
        lr = config.lr * lr_factor(step, total, config)
        for group, described in zip(self.optimizer.param_groups, self.groups, strict=True):
            group["lr"] = lr * described.scale
        return lr

    def step(self, config: TrainConfig, number: int) -> None:
        """Apply the accumulated gradients; `number` counts these steps from 1 at the start of training.

        The average's decay grows with it: at 0.999 from the beginning, 40 % of what a thousand steps leave
        would be the initial weights.
        """
        self.scaler.unscale_(self.optimizer)
        if config.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), config.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        if self.ema:
            self.ema.update(self.model, number)

    def weights(self) -> dict[str, torch.Tensor]:
        """The predictor's tensors, on the CPU."""
        return {name: tensor.detach().cpu().clone() for name, tensor in self.predictor.state_dict().items()}

    def save(self, path: Path, config: Config, classes: list[str], preprocess: Preprocess) -> None:
        """Write a checkpoint to resume from. Random state is not in it: each epoch seeds its own."""
        training: dict[str, Any] = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            # Python numbers: numpy scalars would not load with weights_only.
            "history": [[*vars(row).values()] for row in self.history],
        }
        checkpoint = Checkpoint(
            state=self.weights(), config=config, classes=classes, preprocess=preprocess, training=training
        )
        checkpoint.save(path)

    def resume(self, path: Path, config: type[Config]) -> None:
        """Take up where the checkpoint at `path`, of a task with this config, ends; there may be none."""
        if not path.exists():
            return
        checkpoint = Checkpoint.load(path, config)
        self.model.load_state_dict(checkpoint.training["model"])
        self.optimizer.load_state_dict(checkpoint.training["optimizer"])
        self.scaler.load_state_dict(checkpoint.training["scaler"])
        self.history = [epoch_of(row) for row in checkpoint.training["history"]]
        if self.ema:
            self.ema.module.load_state_dict(checkpoint.state)
            for part in self.ema.module.modules():
                if isinstance(part, ArcFaceHead):
                    part.forget()  # what it learns from now on moves them
