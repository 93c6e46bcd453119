"""The work of one fold, small enough to be sent to another process, device or machine."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch

from pipeline.base.errors import UserError
from pipeline.competition.base import Competition
from pipeline.competition.prepared import open_prepared
from pipeline.config.config import Config
from pipeline.inputs.batches import HeldOutBatches, TrainingBatches
from pipeline.inputs.preprocess import Preprocess
from pipeline.inputs.table import Fitted
from pipeline.training.history import Epoch
from pipeline.training.lessons import Lessons
from pipeline.training.pace import Pace, Unhurried
from pipeline.training.ranks import ALONE, Ranks
from pipeline.training.sampling import drawing_weights


@dataclass(frozen=True)
class FoldLog:
    """Who is told of a fold's training: `begun` of the parameter groups, `epoch` of every epoch once it is
    saved."""

    begun: Callable[[list[dict[str, Any]]], None] = lambda groups: None
    epoch: Callable[[Epoch], None] = lambda epoch: None


class Listener(Protocol):
    """Something that keeps a log of a run elsewhere, such as wandb. It can be pickled."""

    def fold(self, fold: int, settings: dict[str, Any]) -> AbstractContextManager[FoldLog]:
        """Around one fold's training: the log of it."""
        ...


class NoListener:
    """Nobody listens."""

    def fold(self, fold: int, settings: dict[str, Any]) -> AbstractContextManager[FoldLog]:
        """See Listener."""
        return nullcontext(FoldLog())


@dataclass(frozen=True, kw_only=True)
class FoldJob:
    """Everything one fold's training depends on: paths, options and numbers; no pixels, no open files.

    Attributes
    ----------
    data : folder of prepared data, see `pipeline.competition.prepared`.
    folds : file of image_id and fold.
    fold : images of this fold are measured on, all others are learnt from.
    folder : where last.pt, best.pt and history.csv go.
    device : as torch names it, such as ``cuda:1``.
    listener : keeps a log elsewhere.
    pseudo : predictions of the test images, whose mean joins the training images.
    distill : out-of-fold predictions of the training images, which their targets move towards.
    pace : how many epochs there are; those of the config where it is None.
    """

    competition: Competition
    config: Config
    data: Path
    folds: Path
    fold: int
    folder: Path
    device: str
    listener: Listener = field(default_factory=NoListener)
    pseudo: tuple[Path, ...] = ()
    distill: Path | None = None
    pace: Pace | None = None

    def epochs(self, history: Sequence[Epoch]) -> int:
        """How many there are to be, as of now, after those in `history`."""
        return (self.pace or Unhurried(self.config.train)).epochs(history)

    def seed(self, epoch: int) -> int:
        """Seed of one epoch (0: of the initial weights), a function of the config's seed, the fold and the
        epoch."""
        return int(np.random.SeedSequence([self.config.train.seed, self.fold, epoch]).generate_state(1)[0])

    def open(self) -> "OpenJob":
        """The job with its data, in the process that does it."""
        return OpenJob(self)


class OpenJob:
    """A job with its data at hand.

    Attributes
    ----------
    train_rows, valid_rows : row numbers of the training split to learn from and to measure on; no overlap.
    reach : how much of the images' resolution is used.
    """

    def __init__(self, job: FoldJob) -> None:
        self.job, self.data = job, open_prepared(job.data, job.competition.reader)
        folds = pd.read_parquet(job.folds)
        ids = self.data.train[["image_id"]]
        in_fold = ids.merge(folds, on="image_id", validate="one_to_one")["fold"].to_numpy() == job.fold
        self.train_rows, self.valid_rows = np.flatnonzero(~in_fold), np.flatnonzero(in_fold)
        self.reach = job.competition.reach(job.config)
        self.images = self.data.images("train", self.reach)

    @property
    def classes(self) -> list[str]:
        """Class names, in the order of every model output."""
        return self.data.classes

    @cached_property
    def device(self) -> torch.device:
        """What computes."""
        return torch.device(self.job.device)

    @cached_property
    def table(self) -> Fitted:
        """What the table beside the images to learn from is like; empty where there is none."""
        table = self.job.competition.table
        return {} if table is None else table.fit(self.data.train.iloc[self.train_rows])

    @property
    def truth(self) -> pd.DataFrame:
        """The train frame's rows to measure on."""
        return self.data.train.iloc[self.valid_rows]

    @cached_property
    def lessons(self) -> Lessons:
        """What is learned from: the images of `train_rows`, with what earlier runs predict."""
        job = self.job
        return Lessons.of(
            data=self.data,
            reach=self.reach,
            rows=self.train_rows,
            valid_rows=self.valid_rows,
            task=job.competition.task,
            config=job.config,
            pseudo=job.pseudo,
            distill=job.distill,
            folder=job.folder / "pseudo",
        )

    def batches(self, preprocess: Preprocess, ranks: Ranks = ALONE) -> TrainingBatches:
        """The fold's augmented training batches; of each the part that one of the processes learns from.

        Raises
        ------
        UserError : a batch has fewer images than there are processes.
        """
        competition, config, lessons = self.job.competition, self.job.config, self.lessons
        task = competition.task
        own = competition.augment(config, preprocess)
        batch_size = min(config.train.batch_size, len(lessons.rows))
        if batch_size < ranks.count:
            raise UserError(
                f"--train.devices is {ranks.count}, and a batch has {batch_size} image(s): lower it, or "
                "raise --train.batch-size"
            )
        return TrainingBatches(
            part=ranks.part(batch_size),
            images=lessons.images,
            rows=lessons.rows,
            targets=lessons.targets,
            transform=own or task.train_transform(config, preprocess),
            batch_transform=None if own else task.batch_transform(config, lessons.images.packed_size),
            train=config.train,
            preprocess=preprocess,
            device=self.device,
            weights=drawing_weights(lessons.frame, self._strata(lessons.frame), config.train.oversample),
        )

    def held_out(self, preprocess: Preprocess, most: int, ranks: Ranks = ALONE) -> HeldOutBatches:
        """Batches of validation images with their truth, none of them augmented: all, or so many of them,
        evenly chosen; the part of one of the processes."""
        chosen = np.linspace(0, len(self.valid_rows) - 1, min(most, len(self.valid_rows))).round().astype(int)
        rows, config = self.valid_rows[chosen[ranks.part(len(chosen))]], self.job.config
        frame = self.data.train.iloc[rows]
        targets, transform = self.job.competition.task.held_out(frame, self.classes, config, preprocess)
        return HeldOutBatches(
            images=self.images,
            rows=rows,
            targets=targets,
            transform=transform,
            batch_size=config.train.batch_size,
            workers=config.train.workers,
            preprocess=preprocess,
            device=self.device,
        )

    def _strata(self, frame: pd.DataFrame) -> pd.Series:
        """The strata of these rows, where they are needed: masks are read for them."""
        if not self.job.config.train.oversample:
            return pd.Series(0, index=frame.index)
        return self.job.competition.task.strata(frame)
