"""Predicting images with a finished run, wherever they come from."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from pipeline.base.errors import UserError
from pipeline.base.progress import progress
from pipeline.competition.base import Competition
from pipeline.experiment.average import aligned
from pipeline.experiment.combine import options_of
from pipeline.inputs.batches import Images
from pipeline.inputs.loading import Loaders
from pipeline.prediction.predict import predict
from pipeline.prediction.request import Request
from pipeline.runs.run import Run
from pipeline.training.checkpoint import Checkpoint


@dataclass(frozen=True, kw_only=True)
class Apply:
    """Images to predict as a run did its test images.

    Attributes
    ----------
    classes : that every checkpoint must have been trained on.
    device : what computes.
    checkpoints : the weights of each fold of a run that was trained.
    """

    competition: Competition
    images: Images
    classes: list[str]
    device: torch.device
    checkpoints: Callable[[Run], list[Path]] = Run.checkpoints

    def predict(self, run: Run, work: Path) -> pd.DataFrame:
        """Predictions of all images: the mean of the run's folds, or of its members.

        Parameters
        ----------
        work : folder for files that predictions refer to.

        Raises
        ------
        UserError : no checkpoints, or such of other classes.
        """
        task, config = self.competition.task, options_of(run, self.competition)
        members = run.members()
        if members:
            names = [member.name for member in members]
            frames = [self.predict(member, work / member.name) for member in members]
            return task.average(aligned(frames, names), work / "mean", config)
        paths = self.checkpoints(run)
        if not paths:
            raise UserError(f"{run.folder} has no trained fold: name a run that was trained")
        frames = [self._fold(path, config, work / path.parent.name) for path in paths]
        return task.average(frames, work / "mean", config)

    def _fold(self, path: Path, config: Any, folder: Path) -> pd.DataFrame:
        checkpoint = Checkpoint.load(path, type(config))
        if checkpoint.classes != self.classes:
            raise UserError(f"{path} was trained on other classes than these: train it again")
        if not checkpoint.preprocess.given.plain:
            raise UserError(
                f"{path} looks at several images of a row or at a table, which a folder of images "
                "has not: make it the raw files of the competition"
            )
        request = Request(
            images=replace(self.images, reach=self.competition.reach(config)),
            rows=np.arange(len(self.images)),
            classes=checkpoint.classes,
            preprocess=checkpoint.preprocess,
            config=replace(config.predicting(), amp=checkpoint.config.predict.amp),  # as it was measured
            loaders=Loaders(config.train.workers, self.device),
            folder=folder,
        )
        with progress(f"{path.parent.name} predict", len(self.images), "images") as advance:
            model = checkpoint.build(self.competition.task, self.device)
            return predict(model, self.competition.task, request, advance)


def fitted_decision(run: Run) -> Any:
    """What the competition's decision was fitted to when the run was finished. Raises UserError without."""
    summary = run.summary() or {}
    if "decision" not in summary:
        raise UserError(
            f"{run.folder} was finished before there was a decision to fit: predict with it again first"
        )
    return summary["decision"]
