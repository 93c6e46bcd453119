"""Equal folds are trained once: their weights and predictions are taken from the run that has them.

In a fold's folder ``trained.json`` and ``predicted.json`` say what its files depend on, so that a run can
tell which of another run's files it would make again bit by bit.
"""

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.base.files import atomic_path, file_hash, write_json
from pipeline.runs.run import FILE_COLUMN, TRAINED, Run, read_frame, read_json, save_frame
from pipeline.training.history import HISTORY
from pipeline.training.plan import PLAN, read_plan, write_plan

PREDICTED = "predicted.json"
Limits = tuple[float | None, float | None]
"""``train.max_minutes`` of each fold and ``--hours`` of all."""
WEIGHTS = ("last.pt", "best.pt", "swa.pt", "soup.pt", HISTORY)


def is_trained(folder: Path, identity: str) -> bool:
    """Whether a fold's folder holds the weights of this identity and their history, whole."""
    about = _read(folder / TRAINED)
    files = about.get("files")
    if about.get("identity") != identity or not isinstance(files, dict):
        return False
    try:
        return all(file_hash(folder / name) == sha256 for name, sha256 in files.items())
    except OSError:
        return False


def mark_trained(folder: Path, identity: str, keep: str, asked: str, limits: Limits | None) -> None:
    """Say that a fold is trained.

    Parameters
    ----------
    keep : which weights predict, ``train.keep``.
    asked : the identity that it would have without a limit.
    limits : the limits that left it fewer epochs, or changed their number; None where none did.
    """
    files = {name: file_hash(folder / name) for name in (f"{keep}.pt", HISTORY)}
    about = {"identity": identity, "keep": keep, "asked": asked, "limits": limits, "files": files}
    write_json(folder / TRAINED, about)


def trained_elsewhere(run: Run, asked: str, limits: Limits) -> Path | None:
    """The folder of an equal fold of another run, or None.

    Parameters
    ----------
    asked : its identity without a limit. One that had time for all of it comes first.
    limits : of this run; a fold that limits have changed is equal where the limits are.
    """
    others = [
        done for done in sorted(run.folder.parent.glob(f"*/fold*/{TRAINED}")) if done.parents[1] != run.folder
    ]
    for done in others:
        if is_trained(done.parent, asked):
            return done.parent
    for done in others:
        about = _read(done)
        same = about.get("asked") == asked and about.get("limits") == list(limits)
        if same and is_trained(done.parent, str(about.get("identity"))):
            return done.parent
    return None


def take_weights(source: Path, target: Path) -> None:
    """Give a fold the weights, the history and the epochs of an equal one; no byte is copied where links are
    possible."""
    plan = read_plan(source)
    (target / PLAN).unlink(missing_ok=True)
    if plan is not None:
        write_plan(target, replace(plan, views=True))
    for name in WEIGHTS:
        if (source / name).exists():
            _link(source / name, target / name)


def prediction_is_there(folder: Path, split: str, identity: str) -> bool:
    """Whether ``<split>.parquet`` in a fold's folder is the one of this identity, whole, with its files."""
    about = _predicted(folder, split)
    if about.get("identity") != identity or not (folder / f"{split}.parquet").exists():
        return False
    return about == {"identity": identity, **_content(folder, split)}


def begin_prediction(folder: Path, split: str, identity: str) -> None:
    """Say what is being predicted, and remove what was left of predictions of another identity."""
    if _predicted(folder, split).get("identity") != identity:
        shutil.rmtree(folder / split, ignore_errors=True)
        write_json(folder / PREDICTED, {**_read(folder / PREDICTED), split: {"identity": identity}})


def mark_predicted(folder: Path, split: str, identity: str) -> None:
    """Say what a split's predictions depended on."""
    about = {"identity": identity, **_content(folder, split)}
    write_json(folder / PREDICTED, {**_read(folder / PREDICTED), split: about})


def predicted_elsewhere(run: Run, split: str, identity: str) -> Path | None:
    """The folder of a fold of another run that has these predictions, or None."""
    for path in sorted(run.folder.parent.glob(f"*/fold*/{PREDICTED}")):
        if path.parents[1] != run.folder and prediction_is_there(path.parent, split, identity):
            return path.parent
    return None


def take_predictions(source: Path, target: Path, split: str) -> None:
    """Give a fold the predictions of an equal one, with the files that they refer to."""
    frame = read_frame(source / f"{split}.parquet")
    for path in _files(source / split):
        _link(path, target / split / path.relative_to(source / split))
    if FILE_COLUMN in frame:
        names = [str(target / split / Path(name).name) for name in frame[FILE_COLUMN]]
        frame = frame.assign(**{FILE_COLUMN: names})
    save_frame(frame, target / f"{split}.parquet")


def _content(folder: Path, split: str) -> dict[str, Any]:
    """Of the table its hash, of the many files that it may refer to only their number and size: one that is
    damaged otherwise is named when it is read, and predicted again once it is deleted."""
    sizes = [path.stat().st_size for path in _files(folder / split)]
    return {"sha256": file_hash(folder / f"{split}.parquet"), "files": len(sizes), "bytes": sum(sizes)}


def _predicted(folder: Path, split: str) -> dict[str, Any]:
    about = _read(folder / PREDICTED).get(split)
    return about if isinstance(about, dict) else {}


def _read(path: Path) -> dict[str, Any]:
    """A JSON object; an empty one where there is none, or the file is damaged: what it told is made again."""
    value = read_json(path)
    return value if isinstance(value, dict) else {}


def _files(folder: Path) -> Iterator[Path]:
    yield from (path for path in sorted(folder.rglob("*")) if path.is_file())


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(target) as temporary:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)
