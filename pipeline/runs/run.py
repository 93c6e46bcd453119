"""A run is a folder; this says what is in it, and keeps two processes out of the same one."""

import datetime
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock, Timeout

from pipeline.base.errors import UserError
from pipeline.base.files import atomic_path, digest, write_json
from pipeline.config.config import Config, PredictConfig


@dataclass(frozen=True)
class Run:
    """``runs/<slug>/<config>-<date>-<digest>``. The digest covers the config and the data."""

    folder: Path

    @property
    def name(self) -> str:
        """The folder's name; also the submission's."""
        return self.folder.name

    def fold(self, number: int) -> Path:
        """Folder of one fold."""
        return self.folder / f"fold{number}"

    def summary(self) -> dict[str, Any] | None:
        """What `finish` wrote, or None for a run that is not finished."""
        path = self.folder / "summary.json"
        return json.loads(path.read_text()) if path.exists() else None

    def description(self) -> dict[str, Any]:
        """All that the result depends on; see `open_run`."""
        return json.loads((self.folder / "config.json").read_text())

    def members(self) -> list["Run"]:
        """The runs that an ensemble or a blend was made of; none of a run that was trained."""
        return [Run(self.folder.with_name(name)) for name in self.description().get("members", ())]

    def checkpoints(self) -> list[Path]:
        """The weights that each trained fold of its own predicts with."""
        done = sorted(self.folder.glob(f"fold*/{TRAINED}"))
        return [path.with_name(f"{json.loads(path.read_text())['keep']}.pt") for path in done]

    def first_trained(self) -> "Run":
        """This run; of an ensemble or a blend, its first member that was trained."""
        members = self.members()
        return members[0].first_trained() if members else self

    def finish(self, summary: dict[str, Any]) -> None:
        """Mark the run as complete."""
        write_json(self.folder / "summary.json", summary)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run; raises UserError where another process does. A killed process holds nothing."""
        try:
            with FileLock(self.folder / ".lock", timeout=0):
                yield
        except Timeout:
            raise UserError(
                f"another process is working on {self.folder}: wait for it, or change an option"
            ) from None


def open_run(runs: Path, config_name: str, description: dict[str, Any], date: datetime.date) -> Run:
    """The run of this description: the one begun earlier, on whatever day, or a new folder.

    Parameters
    ----------
    runs : folder of the competition's runs.
    description : all that the result depends on, such as config and data fingerprint; saved as config.json.
    """
    key = digest(description)
    existing = sorted(runs.glob(f"{config_name}-*-{key}"))
    folder = existing[0] if existing else runs / f"{config_name}-{date:%Y%m%d}-{key}"
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "config.json").exists():
        write_json(folder / "config.json", description)
    return Run(folder)


def describe(config: Config, fingerprint: str, data: str) -> dict[str, Any]:
    """Everything a single-config run's result depends on."""
    return {"config": config.to_json(), "data": data, "fingerprint": fingerprint}


def predict_config(run: Run) -> PredictConfig:
    """How a run predicts; of an ensemble or a blend, how its first member does."""
    return Config.from_json(run.first_trained().description()["config"]).predict


def all_checkpoints(run: Run) -> list[Path]:
    """Its own checkpoints and those of its members."""
    return run.checkpoints() + [path for member in run.members() for path in all_checkpoints(member)]


def trained_elsewhere(run: Run, fold: int) -> Path | None:
    """The same fold, trained, of a run beside this one that differs only in how it predicts.

    None too where validation, which predicts, chooses the epoch that is kept or the last one.
    """
    own = run.description()
    train = own["config"]["train"]
    if train["keep"] == "best" or train["patience"] is not None:
        return None
    for done in sorted(run.folder.parent.glob(f"*/fold{fold}/{TRAINED}")):
        other = Run(done.parents[1]).description()
        whole = all((done.parent / name).exists() for name in ("last.pt", "history.csv"))
        if whole and "config" in other and _training(other) == _training(own):
            return done.parent
    return None


def _training(description: dict[str, Any]) -> dict[str, Any]:
    """What training depends on."""
    config = {name: part for name, part in description["config"].items() if name != "predict"}
    return {**description, "config": config}


TRAINED = "trained.json"
"""In a fold's folder: its training is done."""
FILE_COLUMN = "map_file"
"""Column of a predictions frame that names a file; saved relative to the frame, so that runs can be moved."""


def save_frame(frame: pd.DataFrame, path: Path) -> None:
    """Write a frame as parquet, atomically."""
    if FILE_COLUMN in frame:
        names = [os.path.relpath(name, path.parent) for name in frame[FILE_COLUMN]]
        frame = frame.assign(**{FILE_COLUMN: names})
    with atomic_path(path) as temporary:
        frame.to_parquet(temporary, index=False)


def read_frame(path: Path) -> pd.DataFrame:
    """Inverse of `save_frame`."""
    frame = pd.read_parquet(path)
    if FILE_COLUMN in frame:
        names = [os.path.normpath(path.parent / name) for name in frame[FILE_COLUMN]]
        frame = frame.assign(**{FILE_COLUMN: names})
    return frame
