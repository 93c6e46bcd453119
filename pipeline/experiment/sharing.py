"""Equal folds are trained once: their weights and predictions are taken from the run that has them.

In a fold's folder ``trained.json`` and ``predicted.json`` say what its files depend on, so that a run can
tell which of another run's files it would make again bit by bit.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.base.files import atomic_path, file_hash, write_json
from pipeline.runs.run import FILE_COLUMN, TRAINED, Run, read_frame, read_json, save_frame

PREDICTED = "predicted.json"
WEIGHTS = ("last.pt", "best.pt", "history.csv")


def is_trained(folder: Path, identity: str) -> bool:
    """Whether a fold's folder holds the weights of this identity."""
    about = read_json(folder / TRAINED) or {}
    kept = folder / f"{about.get('keep')}.pt"
    return about.get("identity") == identity and kept.exists() and (folder / "history.csv").exists()


def mark_trained(folder: Path, identity: str, keep: str, finished: bool) -> None:
    """Say that a fold is trained.

    Parameters
    ----------
    finished : False where a time limit ended it, so that another limit would give other weights.
    """
    write_json(folder / TRAINED, {"identity": identity, "keep": keep, "finished": finished})


def trained_elsewhere(run: Run, identity: str, limit: float | None) -> Path | None:
    """The folder of an equal fold of another run, or None.

    Parameters
    ----------
    limit : the time limit of this run; a fold that such a limit has ended is equal where the limits are.
    """
    for done in sorted(run.folder.parent.glob(f"*/fold*/{TRAINED}")):
        if done.parents[1] == run.folder or not is_trained(done.parent, identity):
            continue
        options = (read_json(done.parents[1] / "config.json") or {}).get("config", {})
        if (read_json(done) or {}).get("finished") or options.get("train", {}).get("max_minutes") == limit:
            return done.parent
    return None


def take_weights(source: Path, target: Path) -> None:
    """Give a fold the weights and the history of an equal one; no byte is copied where links are possible."""
    for name in WEIGHTS:
        if (source / name).exists():
            _link(source / name, target / name)


def prediction_is_there(folder: Path, split: str, identity: str) -> bool:
    """Whether ``<split>.parquet`` in a fold's folder is the one of this identity, whole."""
    about = (read_json(folder / PREDICTED) or {}).get(split, {})
    path = folder / f"{split}.parquet"
    return about.get("identity") == identity and path.exists() and about.get("sha256") == file_hash(path)


def begin_prediction(folder: Path, split: str, identity: str) -> None:
    """Say what is being predicted, and remove what was left of predictions of another identity."""
    about: dict[str, Any] = read_json(folder / PREDICTED) or {}
    if about.get(split, {}).get("identity") != identity:
        shutil.rmtree(folder / split, ignore_errors=True)
        write_json(folder / PREDICTED, {**about, split: {"identity": identity}})


def mark_predicted(folder: Path, split: str, identity: str) -> None:
    """Say what a split's predictions depended on."""
    about: dict[str, Any] = read_json(folder / PREDICTED) or {}
    about[split] = {"identity": identity, "sha256": file_hash(folder / f"{split}.parquet")}
    write_json(folder / PREDICTED, about)


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


def _files(folder: Path) -> Iterator[Path]:
    yield from (path for path in sorted(folder.rglob("*")) if path.is_file())


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(target) as temporary:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)
