"""The stage that combines finished runs into a new one."""

import datetime

import numpy as np
import pandas as pd

from pipeline.base.errors import UserError, name_some
from pipeline.base.progress import say
from pipeline.delivery.deliver import Finished
from pipeline.experiment.average import average
from pipeline.experiment.blend import Method, blend_probabilities, check_alike
from pipeline.experiment.experiment import Experiment
from pipeline.runs.run import Run, open_run, predict_config, read_frame, save_frame
from pipeline.stages.hand_in import hand_in
from pipeline.stages.workbench import Workbench
from pipeline.tasks.classification.task import Classification
from pipeline.tasks.task import Task


def blend(bench: Workbench) -> str:
    """Combine finished runs (--runs a b c) by --method mean, rank, climb or stack; the result is a run.

    Raises
    ------
    UserError : fewer than two runs; one that is not finished, or that was trained or validated on other
        images; a method that does not suit the task or the folds.
    """
    first = bench.experiments[0]
    runs = [_find_run(first, name) for name in bench.runs]
    if len(runs) < 2:
        raise UserError("give at least two finished runs to blend: RUNS='a b', their names under runs/")
    folds = _folds(runs[0])
    method = _method(bench.method, first.competition.task, folds.nunique())
    description = {
        "members": [run.name for run in runs],
        "method": method,
        "fingerprint": first.data.fingerprint,
    }
    run = open_run(first.paths.runs / first.competition.slug, "blend", description, datetime.date.today())
    with run.lock():
        note = _blend_into(first, runs, folds, run, method)
    say(f"blend of {len(runs)} runs: {note}")
    minutes = sum((member.summary() or {})["minutes"] for member in runs)
    fold_scores = _fold_scores(first, folds, run)
    text = "\n".join([note, *(f"{member.name}" for member in runs)])
    path = hand_in(bench, Finished(run, "blend", description, text, fold_scores, {}, minutes))
    return f"submission: {path}"


def _method(asked: Method | None, task: Task, folds: int) -> Method:
    """The method asked for, or else the one that suits the task and the number of folds, which is told."""
    if not isinstance(task, Classification):
        if asked not in (None, "mean"):
            raise UserError("masks and boxes are blended by --method mean: maps are averaged, boxes fused")
        suited, reason = "mean", "maps are averaged, boxes fused"
    elif folds > 1:
        suited, reason = "climb", "weights are fitted fold by fold"
    else:
        suited, reason = "mean", "one fold alone leaves nothing to fit weights on"
    if asked is None:
        say(f"blending by {suited}: {reason}")
    return asked or suited


def _folds(run: Run) -> pd.Series:
    """The fold of each image with an out-of-fold prediction, by its id; of an ensemble or a blend, the one
    its first member has."""
    ids = read_frame(run.folder / "oof.parquet")["image_id"]
    folds = pd.read_parquet(run.first_trained().folder / "folds.parquet")
    return folds.set_index("image_id").loc[ids, "fold"]


def _fold_scores(first: Experiment, folds: pd.Series, run: Run) -> list[float]:
    """The blend's metric on each of the folds."""
    oof, truth = read_frame(run.folder / "oof.parquet"), first.data.train.set_index("image_id")
    numbers = folds.loc[oof["image_id"]].to_numpy()
    scores = []
    for fold in np.unique(numbers):
        part = oof[numbers == fold].reset_index(drop=True)
        scores.append(
            float(
                first.competition.score(truth.loc[part["image_id"]].reset_index(), part, first.data.classes)
            )
        )
    return scores


def _find_run(experiment: Experiment, name: str) -> Run:
    run = Run(experiment.paths.runs / experiment.competition.slug / name)
    if run.summary() is None:
        known = sorted(path.parent.name for path in run.folder.parent.glob("*/summary.json"))
        raise UserError(
            f"there is no finished run {name} in {run.folder.parent}: "
            + (f"there are {name_some(known)}" if known else "make submit makes one")
        )
    if run.description()["fingerprint"] != experiment.data.fingerprint:
        raise UserError(f"{name} was trained on other data than this: give the same RAW= or DATA=")
    return run


def _blend_into(first: Experiment, runs: list[Run], folds: pd.Series, run: Run, method: Method) -> str:
    """Write the blend's predictions; returns what was fitted."""
    task, names = first.competition.task, [member.name for member in runs]
    oofs, tests = (
        [read_frame(member.folder / f"{split}.parquet") for member in runs] for split in ("oof", "test")
    )
    check_alike(oofs, names)
    if method == "mean":
        for split, frames in (("oof", oofs), ("test", tests)):
            mean = average(task, frames, names, run.folder / split, predict_config(run))
            save_frame(mean, run.folder / f"{split}.parquet")
        return "mean of all"
    ids = oofs[0]["image_id"]
    order, test_order = ids.tolist(), tests[0]["image_id"].tolist()
    classes, competition = first.data.classes, first.competition
    result = blend_probabilities(
        method,
        [frame.set_index("image_id").loc[order].reset_index() for frame in oofs],
        [frame.set_index("image_id").loc[test_order].reset_index() for frame in tests],
        first.data.train.set_index("image_id").loc[order].reset_index(),
        folds.loc[order].to_numpy(),
        classes,
        lambda truth, predictions: competition.score(truth, predictions, classes),
        not competition.metric.endswith(("_loss", "_error")),
    )
    save_frame(result.oof, run.folder / "oof.parquet")
    save_frame(result.test, run.folder / "test.parquet")
    return result.note
