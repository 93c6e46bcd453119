"""The stage that combines finished runs into a new one."""

import datetime

import numpy as np
import pandas as pd

from pipeline.blend import Method, blend_probabilities, check_alike
from pipeline.deliver import Finished, copy_out
from pipeline.ensemble import average
from pipeline.errors import UserError, name_some
from pipeline.experiment import Experiment
from pipeline.hand_in import hand_in
from pipeline.progress import say
from pipeline.runs import Run, open_run, read_frame, save_frame
from pipeline.tasks.classification import Classification
from pipeline.workbench import Workbench


def blend(bench: Workbench) -> str:
    """Combine finished runs (--runs a b c) by --method mean, rank, climb or stack; the result is a run."""
    first = bench.experiments[0]
    runs = [_find_run(first, name) for name in bench.runs]
    if len(runs) < 2:
        raise UserError("give at least two finished runs to blend: RUNS='a b', their names under runs/")
    description = {
        "members": [run.name for run in runs],
        "method": bench.method,
        "fingerprint": first.data.fingerprint,
    }
    run = open_run(first.paths.runs / first.competition.slug, "blend", description, datetime.date.today())
    with run.lock():
        note = _blend_into(first, runs, run, bench.method)
    say(f"blend of {len(runs)} runs: {note}")
    minutes = sum((member.summary() or {})["minutes"] for member in runs)
    fold_scores = _fold_scores(first, runs[0], run)
    text = "\n".join([note, *(f"{member.name}" for member in runs)])
    path = hand_in(bench, Finished(run, "blend", description, text, fold_scores, {}, minutes))
    if bench.out:
        copy_out(path, bench.out)
    return f"submission: {path}"


def _fold_scores(first: Experiment, member: Run, run: Run) -> list[float]:
    """The blend's metric on each fold of its first member."""
    oof, truth = read_frame(run.folder / "oof.parquet"), first.data.train.set_index("image_id")
    folds = pd.read_parquet(member.folder / "folds.parquet").set_index("image_id")
    numbers = folds.loc[oof["image_id"], "fold"].to_numpy()
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
    return run


def _blend_into(first: Experiment, runs: list[Run], run: Run, method: Method) -> str:
    """Write the blend's predictions; returns what was fitted."""
    task, names = first.competition.task, [member.name for member in runs]
    oofs, tests = (
        [read_frame(member.folder / f"{split}.parquet") for member in runs] for split in ("oof", "test")
    )
    check_alike(oofs, names)
    if method == "mean" or not isinstance(task, Classification):
        if method != "mean":
            raise UserError("masks and boxes are blended by --method mean: maps are averaged, boxes fused")
        for split, frames in (("oof", oofs), ("test", tests)):
            mean = average(task, frames, names, run.folder / split)
            save_frame(mean, run.folder / f"{split}.parquet")
        return "mean of all"
    ids = oofs[0]["image_id"]
    order, test_order = ids.tolist(), tests[0]["image_id"].tolist()
    folds_of = pd.read_parquet(runs[0].folder / "folds.parquet").set_index("image_id")
    classes, competition = first.data.classes, first.competition
    result = blend_probabilities(
        method,
        [frame.set_index("image_id").loc[order].reset_index() for frame in oofs],
        [frame.set_index("image_id").loc[test_order].reset_index() for frame in tests],
        first.data.train.set_index("image_id").loc[order].reset_index(),
        folds_of.loc[order, "fold"].to_numpy(),
        classes,
        lambda truth, predictions: competition.score(truth, predictions, classes),
        not competition.metric.endswith(("_loss", "_error")),
    )
    save_frame(result.oof, run.folder / "oof.parquet")
    save_frame(result.test, run.folder / "test.parquet")
    return result.note
