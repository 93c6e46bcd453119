"""One config on one dataset: every fold is trained and predicted; what is done, here or in another run, is
taken as it is."""

import datetime
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from pipeline.base.files import digest, write_json
from pipeline.base.paths import Paths
from pipeline.base.progress import progress, say
from pipeline.competition.base import Competition
from pipeline.competition.identity import splitting_code
from pipeline.competition.prepared import Prepared
from pipeline.config.config import Config
from pipeline.experiment.clock import Clock
from pipeline.experiment.description import changed, describe, prediction_identity, training_identity
from pipeline.experiment.precision import with_precision
from pipeline.experiment.sharing import (
    begin_prediction,
    is_trained,
    mark_predicted,
    mark_trained,
    predicted_elsewhere,
    prediction_is_there,
    take_predictions,
    take_weights,
    trained_elsewhere,
)
from pipeline.experiment.speed import measure_fold
from pipeline.experiment.teachers import Teachers, find_teachers
from pipeline.frame.fold_file import own_folds, read_folds
from pipeline.frame.folds import assign_folds, audit_folds
from pipeline.inputs.batches import Images
from pipeline.inputs.filling import fill_copies
from pipeline.inputs.loading import Loaders
from pipeline.prediction.predict import predict
from pipeline.prediction.request import Request
from pipeline.runs.about import ABOUT, about_run, tell_about
from pipeline.runs.provenance import code_folders, git_sha
from pipeline.runs.run import TRAINED, Run, open_run, read_frame, read_json, runs_beside, save_frame
from pipeline.training.checkpoint import Checkpoint
from pipeline.training.devices import train_on_devices
from pipeline.training.history import read_history
from pipeline.training.job import FoldJob, Listener, NoListener
from pipeline.training.loop import train_fold
from pipeline.training.plan import Plan, Seconds, read_plan

SPLITS = ("oof", "test")
CONTINUED = "continued.json"
"""In a run's folder: when it went on under other code than it began with, and which."""


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """Everything a run is made of; the methods are its stages.

    Attributes
    ----------
    name : the config's name.
    source_kind : where the images came from, see `Source`.
    device : as torch names it.
    listener : makes what keeps a log of a run elsewhere.
    changed, note : see `pipeline.runs.about`.
    clock : the time there is for all of the command.
    copies_gb : bound of the smaller copies of images, see `pipeline.inputs.filling`.
    unfinished : go on with this run, under today's code, instead of the one that config, data and code mean.
    """

    competition: Competition
    name: str
    config: Config
    source_kind: str
    data: Prepared
    paths: Paths
    device: str
    listener: Callable[[Run], Listener] = lambda run: NoListener()
    copies_gb: float | None = None
    unfinished: Run | None = None
    changed: str = ""
    note: str = ""
    clock: Clock = field(default_factory=Clock)

    @cached_property
    def identity(self) -> dict[str, Any]:
        """All that the run's result depends on."""
        begun_with = self.unfinished.description().get("hours") if self.unfinished else self.clock.hours
        return describe(self.competition, self.config, self.source_kind, self.data, self.teachers, begun_with)

    @cached_property
    def teachers(self) -> Teachers:
        """The predictions of earlier runs that this one learns from. Raises UserError as `find_teachers`."""
        return find_teachers(
            self.competition,
            self.config,
            self.data,
            self.paths.runs / self.competition.slug,
            lambda: (self.folds, self.fold_numbers),
        )

    @cached_property
    def run(self) -> Run:
        """The run's folder, created when first asked for; a new one says what changed since the last."""
        if self.unfinished:
            return self._continued(self.unfinished)
        runs = self.paths.runs / self.competition.slug
        known = set(runs.glob("*"))
        run = open_run(runs, self.name, self.identity, datetime.date.today())
        self._tell_about(run, new=run.folder not in known)
        return run

    def _tell_about(self, run: Run, new: bool) -> None:
        """Keep what a person tells the run by, and its options; say it of a new one."""
        options = run.folder / "options.json"
        if read_json(options) is None:
            write_json(options, self.config.to_json())
        model = self.config.model
        size = "x".join(str(side) for side in np.atleast_1d(model.image_size).tolist())
        if not (run.folder / ABOUT).exists():
            tell_about(run, model=model.name, size=size, changed=self.changed)
        if self.note:
            tell_about(run, note=self.note)
        if new:
            say(f"new run {run.name}: {about_run(run)}")
            self._tell_changes(run)

    def _continued(self, run: Run) -> Run:
        changes = self._changes_since_it_began
        if self.note:
            tell_about(run, note=self.note)
        if changes:
            path = run.folder / CONTINUED
            entry = {"date": datetime.datetime.now().isoformat(timespec="seconds"), "changes": changes}
            write_json(path, [*(read_json(path) or []), entry])
            say(f"{run.name} goes on under today's code, which it records: {'; '.join(changes)}")
        return run

    @cached_property
    def _changes_since_it_began(self) -> list[str]:
        """What is no longer as the config.json of the unfinished run says; nothing where there is none."""
        return changed(self.unfinished.description(), self.identity) if self.unfinished else []

    def _tell_changes(self, run: Run) -> None:
        for other, about in runs_beside(run):
            if other.name.rpartition("-")[0].rpartition("-")[0] == self.name:
                changes = changed(about, self.identity) or ["nothing that is known"]
                say(f"since {other.name}: {'; '.join(changes)}")
                return

    @cached_property
    def folds(self) -> pd.DataFrame:
        """image_id and fold in the train manifest's row order; saved once, shared by every run with the same
        split."""
        split = replace(self.config.folds, use=None)
        if split.csv is not None:
            folds = read_folds(Path(split.csv), self.data.train)
            audit_folds(self.data.train, folds, name=split.csv)
            return folds
        own = self.competition.split(self.data.train, split)
        if own is not None:
            folds = own_folds(own, self.data.train)
            audit_folds(self.data.train, folds, name="split, in competition.py")
            return folds
        key = digest([vars(split), self.data.train_identity, splitting_code()])
        path = self.paths.data / self.competition.slug / "folds" / f"{key}.parquet"
        folds = _read_folds(path)
        if folds is None:
            strata = self.competition.task.strata(self.data.train)
            folds = assign_folds(self.data.train, strata, split)
            save_frame(folds, path)
        audit_folds(self.data.train, folds, grouped=split.scheme in ("group", "stratified_group"))
        return self.data.train[["image_id"]].merge(folds, on="image_id", validate="one_to_one")

    def settle(self) -> None:
        """Find out all that the folds have in common, before they are sent to other processes."""
        self.job(self.fold_numbers[0])
        self._tell_commit()

    def _tell_commit(self) -> None:
        if not about_run(self.run).git_sha:
            module = Path(inspect.getfile(type(self.competition)))
            tell_about(self.run, git_sha=git_sha(code_folders(module)))

    def on(self, device: str) -> "Experiment":
        """The same on another device, with what is known of it already."""
        other = replace(self, device=device)
        known = [
            name
            for name, value in vars(type(self)).items()
            if isinstance(value, cached_property) and name != "_images"  # opened where they are read
        ]
        vars(other).update({name: vars(self)[name] for name in known if name in vars(self)})
        return other

    @property
    def fold_numbers(self) -> list[int]:
        """The folds this config trains."""
        there = sorted(number for number in self.folds["fold"].unique().tolist() if number >= 0)
        return self.config.folds.chosen(there)

    @cached_property
    def precise(self) -> Config:
        """The config with the precision that this run computes in."""
        shared = self.paths.data / self.competition.slug / "precision"
        fold = self.fold_numbers[0]
        return with_precision(
            self.config, self.device, self.run.folder, shared, lambda config: self._job(fold, config)
        )

    def job(self, fold: int) -> FoldJob:
        """Training of one fold."""
        return self._job(fold, self.precise)

    @cached_property
    def _images(self) -> dict[str, Images]:
        """The images of both splits as the config uses them, with as many smaller copies as there is room
        for."""
        reach = self.competition.reach(self.config)
        found = {split: self.data.images(split, reach) for split in ("train", "test")}
        fill_copies(list(found.values()), self.data.copies, self.copies_gb)
        return found

    def _job(self, fold: int, config: Config) -> FoldJob:
        _ = self._images  # whoever trains reads the copies
        path = self.run.folder / "folds.parquet"
        if _read_folds(path) is None or not read_frame(path).equals(self.folds):
            save_frame(self.folds, path)
        return FoldJob(
            competition=self.competition,
            config=config,
            data=self.data.folder.resolve(),
            folds=path.resolve(),
            fold=fold,
            folder=self.run.fold(fold).resolve(),
            device=self.device,
            listener=self.listener(self.run),
            pseudo=self.teachers.pseudo.get(fold, ()),
            distill=self.teachers.distill,
        )

    def training_identity(self, fold: int, plan: Plan | None = None) -> str:
        """What the weights of a fold depend on.

        Parameters
        ----------
        plan : how many epochs there was time for; None: for all.
        """
        # Epochs of several versions of the code equal no other run's.
        own = self.run.name if self._changes_since_it_began else ""
        inside = self.folds["image_id"][self.folds["fold"] == fold].tolist()
        return training_identity(self.identity, self.precise, self.data.classes, fold, inside, own, plan)

    def prediction_identity(self, fold: int, split: str) -> str:
        """What the predictions of a fold depend on."""
        amp, plan = self.precise.predict.amp, self._plan(fold)
        training = self.training_identity(fold, plan)
        return prediction_identity(self.identity, training, split, amp, plan is None or plan.views)

    def _plan(self, fold: int) -> Plan | None:
        """What of a fold there was time for; None: all of it."""
        return read_plan(self.run.fold(fold))

    def train_fold(self, fold: int) -> None:
        """Train one fold, unless it is trained here or an equal one is in another run."""
        folder, train = self.run.fold(fold), self.config.train
        if self.is_trained(fold):
            return
        asked, limits = self.training_identity(fold), (train.max_minutes, self.identity["hours"])
        other = None if (folder / "last.pt").exists() else trained_elsewhere(self.run, asked, limits)
        if other:
            say(f"fold {fold}: taken from {other.parent.name}, where it was trained")
            take_weights(other, folder)
        else:
            self._tell_commit()
            pace = self.clock.pace(self.run.name, fold, folder, train, self._measure)
            job = replace(self.job(fold), pace=pace)
            with job.listener.fold(fold, self.config.to_json()) as log:
                (train_on_devices if train.devices > 1 else train_fold)(job, log)
        identity = self.training_identity(fold, self._plan(fold))
        mark_trained(folder, identity, train.keep, asked, None if identity == asked else limits)

    def is_trained(self, fold: int) -> bool:
        """Whether a fold's weights are there, and final."""
        folder = self.run.fold(fold)
        there = (folder / TRAINED).exists()  # else nothing needs to be known, or measured, for it
        return there and is_trained(folder, self.training_identity(fold, self._plan(fold)))

    def _measure(self) -> Seconds:
        """What the parts of a fold take on this machine."""
        return measure_fold(self.job(self.fold_numbers[0]), len(self.data.test))

    def has_time(self, fold: int) -> bool:
        """Whether the clock leaves time for a fold that is to be trained or predicted after others."""
        epochs, plan = self.config.train.epochs, self._plan(fold)
        done = (plan.total if plan else epochs) if self.is_trained(fold) else 0
        return self.clock.has_time(self.run.name, epochs, done, self._measure)

    def predict_fold(self, fold: int) -> None:
        """Out-of-fold and test predictions of one fold; trains it where it is not trained yet."""
        self.train_fold(fold)
        missing = [split for split in SPLITS if not self._take_prediction(fold, split)]
        if not missing:
            return
        path = self.run.fold(fold) / f"{self.config.train.keep}.pt"
        checkpoint = Checkpoint.load(path, type(self.config))
        model = checkpoint.build(self.competition.task, torch.device(self.device))
        began = self.clock.now()
        for split in missing:
            self._predict_split(fold, split, checkpoint, model)
        if len(missing) == len(SPLITS):
            same = self.precise.predicting() == self.precise.without_views()
            parts = ("views", "plain") if same else ("views",) if self._views(fold) else ("plain",)
            self.clock.tell(self.run.name, **dict.fromkeys(parts, self.clock.now() - began))

    def _views(self, fold: int) -> bool:
        plan = self._plan(fold)
        return plan is None or plan.views

    def predicted_folds(self) -> list[int]:
        """The folds whose predictions are there."""
        return [fold for fold in self.fold_numbers if self.is_predicted(fold)]

    def is_predicted(self, fold: int) -> bool:
        """Whether a fold's predictions are there."""
        return all(self._split_is_predicted(fold, split) for split in SPLITS)

    def _split_is_predicted(self, fold: int, split: str) -> bool:
        folder = self.run.fold(fold)
        there = (folder / f"{split}.parquet").exists()  # else nothing needs to be known, or measured, for it
        return there and prediction_is_there(folder, split, self.prediction_identity(fold, split))

    def _take_prediction(self, fold: int, split: str) -> bool:
        """Whether a split's predictions are there, or can be taken from an equal fold of another run."""
        folder, identity = self.run.fold(fold), self.prediction_identity(fold, split)
        if prediction_is_there(folder, split, identity):
            return True
        other = predicted_elsewhere(self.run, split, identity)
        if other is None:
            return False
        say(f"fold {fold}: {split} predictions taken from {other.parent.name}")
        begin_prediction(folder, split, identity)
        take_predictions(other, folder, split)
        mark_predicted(folder, split, identity)
        return True

    def _predict_split(self, fold: int, split: str, checkpoint: Checkpoint, model: torch.nn.Module) -> None:
        images = self._images["train" if split == "oof" else "test"]
        in_fold = (self.folds["fold"] == fold).to_numpy()
        rows = np.flatnonzero(in_fold) if split == "oof" else np.arange(len(images))
        folder, identity = self.run.fold(fold), self.prediction_identity(fold, split)
        begin_prediction(folder, split, identity)
        request = Request(
            images=images,
            rows=rows,
            classes=checkpoint.classes,
            preprocess=checkpoint.preprocess,
            config=self.precise.predicting() if self._views(fold) else self.precise.without_views(),
            loaders=Loaders(self.config.train.workers, torch.device(self.device)),
            folder=folder / split,
        )
        with progress(f"fold {fold} predict {split}", len(rows), "images") as advance:
            frame = predict(model, self.competition.task, request, advance)
        save_frame(frame, folder / f"{split}.parquet")
        mark_predicted(folder, split, identity)

    def join(self, folds: Sequence[int]) -> None:
        """Join the predictions of these folds into the run's oof.parquet and test.parquet."""
        frames = {
            split: [read_frame(self.run.fold(fold) / f"{split}.parquet") for fold in folds]
            for split in SPLITS
        }
        oof = pd.concat(frames["oof"], ignore_index=True)
        order = self.data.train["image_id"][self.data.train["image_id"].isin(oof["image_id"])]
        save_frame(oof.set_index("image_id").loc[order].reset_index(), self.run.folder / "oof.parquet")
        test = self.competition.task.average(frames["test"], self.run.folder / "test", self.config)
        save_frame(test, self.run.folder / "test.parquet")
        save_frame(self.folds, self.run.folder / "folds.parquet")

    def histories(self) -> dict[str, pd.DataFrame]:
        """Each trained fold's history, by name."""
        trained = [fold for fold in self.fold_numbers if (self.run.fold(fold) / TRAINED).exists()]
        read = {fold: read_history(self.run.fold(fold)) for fold in trained}
        return {f"fold {fold}": pd.DataFrame([vars(row) for row in rows]) for fold, rows in read.items()}

    def minutes(self) -> float:
        """Wall time of all epochs, also those of earlier, interrupted sessions."""
        return sum(history["seconds"].sum() for history in self.histories().values()) / 60


def _read_folds(path: Any) -> pd.DataFrame | None:
    """A file of folds, or None where there is none or it cannot be read: it is made again then."""
    try:
        return pd.read_parquet(path)[["image_id", "fold"]]
    except (OSError, ValueError, KeyError):
        return None
