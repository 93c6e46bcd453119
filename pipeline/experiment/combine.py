"""Runs made of runs: the mean of an ensemble's members, and blends."""

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.base.errors import UserError, name_some
from pipeline.base.progress import say
from pipeline.competition.base import Competition
from pipeline.competition.evaluate import evaluation_of
from pipeline.competition.identity import scoring_code
from pipeline.competition.prepared import Prepared
from pipeline.config.config import Config
from pipeline.experiment.average import aligned
from pipeline.frame.schema import rows_by_id
from pipeline.inputs.table import encoded
from pipeline.runs.run import Run, open_run, read_frame, read_json, save_frame
from pipeline.tasks.task import BlendRequest


def options_of(run: Run, competition: Competition) -> Config:
    """The options of a run; of one made of others, those of its first member that was trained.

    Raises
    ------
    UserError : they cannot be read, or are those of another version.
    """
    trained = run.first_trained()
    path = trained.folder / "options.json"
    try:
        return competition.task.config.from_json(read_json(path))
    except (TypeError, AttributeError, KeyError) as error:
        raise UserError(
            f"{path} holds no options of this version: train its config again, without --run"
        ) from error


def folds_of(run: Run) -> pd.Series:
    """The fold of each image with an out-of-fold prediction, by its id; of a run made of others, the one
    its first trained member has."""
    ids = read_frame(run.folder / "oof.parquet")["image_id"]
    folds = read_frame(run.first_trained().folder / "folds.parquet")
    return folds.set_index("image_id").loc[ids, "fold"]


def open_combination(
    name: str, members: Sequence[Run], method: str, competition: Competition, data: Prepared, runs: Path
) -> Run:
    """The run that these members make, begun earlier or new."""
    description: dict[str, Any] = {
        "members": [member.name for member in members],
        "method": method,
        "train_data": data.train_identity,
        "test_data": data.test_identity,
        "code": {"scoring": scoring_code(competition)},
    }
    return open_run(runs, name, description, datetime.date.today())


def refuse_unfinished(runs: Path, name: str) -> None:
    """Raise UserError where there is no finished run of this name."""
    if Run(runs / name).summary() is None:
        known = sorted(path.parent.name for path in runs.glob("*/summary.json"))
        raise UserError(
            f"there is no finished run {name} in {runs}: "
            + (f"there are {name_some(known)}" if known else "make submit makes one")
        )


def finished_run(runs: Path, name: str, data: Prepared) -> Run:
    """A run by name. Raises UserError where there is none, it is not finished, or it is of other data."""
    refuse_unfinished(runs, name)
    run = Run(runs / name)
    about = run.description()
    if (about.get("train_data"), about.get("test_data")) != (data.train_identity, data.test_identity):
        raise UserError(f"{name} was trained on other data than this: give the same RAW= or DATA=")
    return run


def mean_of(members: Sequence[Run], run: Run, competition: Competition) -> None:
    """Write the mean of the members' predictions as the run's."""
    names = [member.name for member in members]
    config = options_of(members[0], competition)
    for split in ("oof", "test"):
        frames = [read_frame(member.folder / f"{split}.parquet") for member in members]
        mean = competition.task.average(aligned(frames, names), run.folder / split, config)
        save_frame(mean, run.folder / f"{split}.parquet")


def chosen_method(asked: str | None, competition: Competition, folds: int) -> str:
    """The method asked for, or else the one that suits the task and the number of folds, which is told.

    Raises
    ------
    UserError : the task has no such method.
    """
    methods = competition.task.blend_methods
    if asked is not None and asked not in methods:
        raise UserError(
            f"there is no --method {asked} here: "
            + "; ".join(f"{name}: {text}" for name, text in methods.items())
        )
    if asked is None:
        asked = list(methods)[-1 if folds > 1 else 0]
        reason = methods[asked] if folds > 1 else "one fold alone leaves nothing to fit weights on"
        say(f"blending by {asked}: {reason}")
    return asked


def blend_into(
    run: Run, members: Sequence[Run], method: str, competition: Competition, data: Prepared
) -> str:
    """Write the blend's predictions; returns what was fitted."""
    if method == "mean":
        mean_of(members, run, competition)
        return "mean of all"
    names = [member.name for member in members]
    oofs, tests = (
        aligned([read_frame(member.folder / f"{split}.parquet") for member in members], names)
        for split in ("oof", "test")
    )
    ids, metric = oofs[0]["image_id"].tolist(), competition.metric

    def score(truth: pd.DataFrame, predictions: pd.DataFrame) -> float:
        return metric.sign * evaluation_of(competition, truth, predictions, data.classes).score

    truth = data.train.set_index("image_id").loc[ids].reset_index()
    request = BlendRequest(
        method=method,
        oofs=oofs,
        tests=tests,
        truth=truth,
        folds=folds_of(members[0]).loc[ids].to_numpy(),
        classes=data.classes,
        score=score,
        tables=_tables(competition, truth, rows_by_id(data.test, tests[0]["image_id"])),
    )
    result = competition.task.blend(request)
    save_frame(result.oof, run.folder / "oof.parquet")
    save_frame(result.test, run.folder / "test.parquet")
    return result.note


def _tables(
    competition: Competition, train: pd.DataFrame, test: pd.DataFrame
) -> tuple[np.ndarray, np.ndarray] | None:
    """What the competition's table has beside these rows, as numbers."""
    if competition.table is None:
        return None
    fitted = competition.table.fit(train)
    return encoded(fitted, train), encoded(fitted, test)
