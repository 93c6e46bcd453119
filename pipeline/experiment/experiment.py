"""One config on one dataset, stage by stage. Every stage takes up the files of the one before and skips what
is done."""

import datetime
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pandas as pd
import torch

from pipeline.base.files import atomic_path, digest, write_json
from pipeline.base.paths import Paths
from pipeline.base.progress import progress, say
from pipeline.competition.contract import Competition
from pipeline.competition.prepare import Prepared
from pipeline.competition.sources import Source
from pipeline.config.config import Config
from pipeline.frame.folds import assign_folds, audit_folds
from pipeline.inputs.batches import Images
from pipeline.prediction.predict import Request, predict
from pipeline.runs.run import (
    TRAINED,
    Run,
    describe,
    open_run,
    read_frame,
    save_frame,
    trained_elsewhere,
)
from pipeline.track.wandb_log import TrackConfig, Tracker
from pipeline.training.checkpoint import Checkpoint
from pipeline.training.loop import FoldJob, train_fold


@dataclass(frozen=True)
class Experiment:
    """Everything a run is made of; the methods are its stages.

    Attributes
    ----------
    name : the config's name.
    """

    competition: Competition
    name: str
    config: Config
    source: Source
    data: Prepared
    paths: Paths
    device: torch.device
    track: TrackConfig = field(default_factory=TrackConfig)

    @cached_property
    def tracker(self) -> Tracker:
        """The run's log on wandb."""
        return Tracker(self.track, self.competition.slug, self.run.name, self.run.folder)

    @cached_property
    def run(self) -> Run:
        """The run's folder, created when first asked for."""
        description = describe(self.config, self.data.fingerprint, self.source.kind)
        return open_run(
            self.paths.runs / self.competition.slug, self.name, description, datetime.date.today()
        )

    @cached_property
    def folds(self) -> pd.DataFrame:
        """image_id and fold in the train manifest's row order; saved once, shared by every run with the same
        split."""
        split = replace(self.config.folds, use=None)
        key = digest([vars(split), self.data.fingerprint])
        path = self.paths.data / self.competition.slug / "folds" / f"{key}.parquet"
        if not path.exists():
            strata = self.competition.task.strata(self.data.train)
            save_frame(assign_folds(self.data.train, strata, split), path)
        folds = pd.read_parquet(path)
        audit_folds(self.data.train, folds, grouped=split.scheme in ("group", "stratified_group"))
        return self.data.train[["image_id"]].merge(folds, on="image_id", validate="one_to_one")

    @property
    def fold_numbers(self) -> list[int]:
        """The folds this config trains."""
        return sorted(number for number in self.folds["fold"].unique() if number >= 0)[
            : self.config.folds.use
        ]

    @property
    def train_images(self) -> Images:
        """The training split."""
        return Images(self.data.train, self.data.packed("train"))

    @property
    def test_images(self) -> Images:
        """The test split."""
        return Images(self.data.test, self.data.packed("test"))

    def job(self, fold: int) -> FoldJob:
        """Training of one fold."""
        in_fold = (self.folds["fold"] == fold).to_numpy()
        return FoldJob(
            self.competition,
            self.config,
            self.train_images,
            self.data.classes,
            np.flatnonzero(~in_fold),
            np.flatnonzero(in_fold),
            fold,
            self.run.fold(fold),
            self.device,
        )

    def train(self) -> None:
        """Train every fold that is not trained yet."""
        save_frame(self.folds, self.run.folder / "folds.parquet")
        for fold in self.fold_numbers:
            self._trained(fold)

    def _trained(self, fold: int) -> Checkpoint:
        folder = self.run.fold(fold)
        done, last = folder / TRAINED, folder / "last.pt"
        kept = folder / f"{self.config.train.keep}.pt"
        if done.exists() and kept.exists():
            return Checkpoint.load(kept)
        other = None if last.exists() else trained_elsewhere(self.run, fold)
        if other:
            say(f"fold {fold}: {other.parent.name} differs only in how it predicts, so its weights are taken")
            with atomic_path(folder / "history.csv") as temporary:
                shutil.copyfile(other / "history.csv", temporary)
            checkpoint = replace(Checkpoint.load(other / "last.pt"), config=self.config)
            checkpoint.save(last)
        else:
            with self.tracker.fold(fold, self.config.to_json()) as log:
                checkpoint = train_fold(self.job(fold), log)
        write_json(done, {"keep": self.config.train.keep})
        return checkpoint

    def predict(self) -> None:
        """Out-of-fold and test predictions of every fold, saved as oof.parquet and test.parquet in its
        folder."""
        for fold in self.fold_numbers:
            missing = [
                split for split in ("oof", "test") if not (self.run.fold(fold) / f"{split}.parquet").exists()
            ]
            if missing:
                checkpoint = self._trained(fold)
                model = checkpoint.build(self.competition.task, self.device)
                for split in missing:
                    self._predict_split(fold, split, checkpoint, model)

    def _predict_split(self, fold: int, split: str, checkpoint: Checkpoint, model: torch.nn.Module) -> None:
        images = self.train_images if split == "oof" else self.test_images
        rows = self.job(fold).valid_rows if split == "oof" else np.arange(len(images))
        request = Request(
            images,
            rows,
            checkpoint.classes,
            checkpoint.preprocess,
            self.config.predict,
            self.config.train.workers,
            self.device,
            self.run.fold(fold) / split,
        )
        with progress(f"fold {fold} predict {split}", len(rows), "images") as advance:
            frame = predict(model, self.competition.task, request, advance)
        save_frame(frame, self.run.fold(fold) / f"{split}.parquet")

    def _fold_frames(self, split: str) -> Iterator[pd.DataFrame]:
        for fold in self.fold_numbers:
            yield read_frame(self.run.fold(fold) / f"{split}.parquet")

    def finish(self) -> None:
        """Join the folds' predictions into the run's oof.parquet and test.parquet."""
        self.predict()
        oof = pd.concat(self._fold_frames("oof"), ignore_index=True)
        order = self.data.train["image_id"][self.data.train["image_id"].isin(oof["image_id"])]
        oof = oof.set_index("image_id").loc[order].reset_index()
        save_frame(oof, self.run.folder / "oof.parquet")
        test = self.competition.task.average(
            list(self._fold_frames("test")), self.run.folder / "test", self.config.predict
        )
        save_frame(test, self.run.folder / "test.parquet")

    def fold_scores(self) -> list[float]:
        """The metric on each fold's out-of-fold predictions."""
        truth = self.data.train.set_index("image_id")
        scores = []
        for frame in self._fold_frames("oof"):
            fold_truth = truth.loc[frame["image_id"]].reset_index()
            scores.append(float(self.competition.score(fold_truth, frame, self.data.classes)))
        return scores

    def histories(self) -> dict[str, pd.DataFrame]:
        """Each trained fold's history, by name."""
        return {
            f"fold {fold}": pd.read_csv(self.run.fold(fold) / "history.csv") for fold in self.fold_numbers
        }

    def minutes(self) -> float:
        """Wall time of all epochs, also those of earlier, interrupted sessions."""
        return sum(history["seconds"].sum() for history in self.histories().values()) / 60
