"""A submission from checkpoints alone: what a kernel does whose training happened elsewhere."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from pipeline.base.device import pick_device
from pipeline.base.errors import UserError
from pipeline.base.files import atomic_path
from pipeline.base.paths import default_paths
from pipeline.base.progress import progress
from pipeline.competition.base import Competition
from pipeline.competition.prepare import prepare
from pipeline.competition.prepared import Prepared
from pipeline.competition.sources import find_source
from pipeline.config.config import Config
from pipeline.delivery.submission import write_submission
from pipeline.experiment.average import aligned
from pipeline.experiment.combine import options_of
from pipeline.frame.schema import rows_by_id
from pipeline.prediction.predict import predict
from pipeline.prediction.request import Request
from pipeline.readers.decoding import Decoding
from pipeline.runs.run import Run
from pipeline.training.checkpoint import Checkpoint

CHECKPOINT = "model.pt"
"""Name of a fold's checkpoint in a bundle."""


def infer(competition: Competition, run: Path, raw: Path, out: Path) -> Path:
    """Predict the test images of `raw` with every fold of a run, and write the checked submission to `out`.

    Parameters
    ----------
    run : folder made by `copy_checkpoints`.

    Raises
    ------
    UserError : as `write_submission` does; the raw files have other classes than the run; the run lacks the
        competition's decision.
    """
    paths = default_paths()
    source = find_source(competition, paths, raw=raw)
    data = prepare(competition, source, paths.data / competition.slug, decoding=_decoding(competition, run))
    form = competition.submission_format(data.classes)
    form.check_sample(data.sample_submission, data.test)
    work = paths.data / competition.slug / "inference" / run.name
    test = _predict_run(competition, run, data, work, pick_device())
    if competition.decision is not None:
        test = competition.decision.apply(test, data.classes, fitted_decision(run))
    rows = rows_by_id(data.test, test["image_id"])
    frame = competition.to_submission(test, rows, data.classes)
    write_submission(frame, data.sample_submission, data.test, form, out)
    return out


def _decoding(competition: Competition, run: Path) -> Decoding | None:
    """How the images were read that a run was trained on, so that black stays black; None where the run is
    older than this was kept."""
    home = next(iter(members_of(run)), None)
    checkpoint = next(iter(sorted((run.parent / home if home else run).glob(f"fold*/{CHECKPOINT}"))), None)
    if home is not None and checkpoint is None:
        return _decoding(competition, run.parent / home)
    if checkpoint is None:
        return None  # what predicts says so
    value = Checkpoint.load(checkpoint, competition.task.config).preprocess.decoding
    return Decoding.from_json(competition.reader, value) if value else None


def _predict_run(
    competition: Competition, run: Path, data: Prepared, work: Path, device: torch.device
) -> pd.DataFrame:
    """Test predictions of a run: the mean of its folds, or of its members."""
    members = members_of(run)
    if members:
        frames = [_predict_run(competition, run.parent / name, data, work / name, device) for name in members]
        config = options_of(Run(run), competition)
        return competition.task.average(aligned(frames, members), work / "test", config)
    folds = sorted(run.glob(f"fold*/{CHECKPOINT}"))
    if not folds:
        raise UserError(f"{run} has no fold with a {CHECKPOINT}: build the bundle again from a finished run")
    config = options_of(Run(run), competition)
    frames = [
        _predict_fold(competition, path, config, data, work / path.parent.name / "test", device)
        for path in folds
    ]
    return competition.task.average(frames, work / "test", config)


def _predict_fold(
    competition: Competition, path: Path, config: Config, data: Prepared, folder: Path, device: torch.device
) -> pd.DataFrame:
    checkpoint = Checkpoint.load(path, type(config))
    if checkpoint.classes != data.classes:
        raise UserError(f"{path} was trained on other classes than these raw files have: train it again")
    images = data.images("test")
    request = Request(
        images=images,
        rows=np.arange(len(images)),
        classes=checkpoint.classes,
        preprocess=checkpoint.preprocess,
        config=replace(config.predicting(), amp=checkpoint.config.predict.amp),  # as it was measured
        workers=config.train.workers,
        device=device,
        folder=folder,
    )
    with progress(f"{path.parent.name} predict test", len(images), "images") as advance:
        return predict(checkpoint.build(competition.task, device), competition.task, request, advance)


def fitted_decision(run: Path) -> Any:
    """What the competition's decision was fitted to when the run was finished. Raises UserError without."""
    summary = Run(run).summary() or {}
    if "decision" not in summary:
        raise UserError(f"{run} was finished before there was a decision to fit: predict with it again first")
    return summary["decision"]


def members_of(run: Path) -> list[str]:
    """Names of the runs that an ensemble's run averages; none for a run of its own.

    Raises UserError for a blend that is no plain mean.
    """
    about = Run(run).description()
    if about.get("method", "mean") != "mean":
        raise UserError(
            f"{run} is a blend by {about['method']}, and a kernel can only average: name a member, or "
            "blend with --method mean"
        )
    return [member.name for member in Run(run).members()]


def copy_checkpoints(run: Path, target: Path, competition: Competition) -> list[str]:
    """Copy what `infer` needs of a run, and of its members, into the folder `target`.

    What training needs to go on (optimiser, averages) stays behind.

    Returns
    -------
    Names of the runs copied, `run` first.

    Raises
    ------
    UserError : no such run, or one that is not finished, or has no checkpoints, or not the decision that the
        competition needs.
    """
    if not (run / "summary.json").exists():
        raise UserError(f"{run} is not a finished run: name a folder of runs/ that has a summary.json")
    if competition.decision is not None:
        fitted_decision(run)
    return _copy(run, target, competition.task.config)


def _copy(run: Path, target: Path, config: type[Config]) -> list[str]:
    members = members_of(run)
    weights = Run(run).checkpoints()
    if not weights and not members:
        raise UserError(f"{run} has no checkpoints of its own: name a run that was trained")
    (target / run.name).mkdir(parents=True)
    for name in ("config.json", "options.json", "summary.json"):
        if (run / name).exists():
            with atomic_path(target / run.name / name) as temporary:
                shutil.copyfile(run / name, temporary)
    for path in weights:
        slim = replace(Checkpoint.load(path, config), training={})
        slim.save(target / run.name / path.parent.name / CHECKPOINT)
    copied = [run.name]
    for name in members:
        copied += _copy(run.parent / name, target, config)
    return copied
