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

from pipeline.base.errors import UserError, logged_in
from pipeline.base.files import atomic_path, digest, remove_leftovers, write_json
from pipeline.base.progress import say, warnings_kept

TRAINED = "trained.json"
"""In a fold's folder: its training is done, with what it depended on and which epoch predicts."""
FILE_COLUMN = "map_file"
"""Column of a predictions frame that names a file; saved relative to the frame, so that runs can be moved."""


@dataclass(frozen=True)
class Run:
    """``runs/<slug>/<config>-<date>-<digest>``. The digest covers all that the result depends on."""

    folder: Path

    @property
    def name(self) -> str:
        """The folder's name; also the submission's."""
        return self.folder.name

    @property
    def digest(self) -> str:
        """The end of its name."""
        return self.name.rpartition("-")[2]

    def fold(self, number: int) -> Path:
        """Folder of one fold."""
        return self.folder / f"fold{number}"

    def summary(self) -> dict[str, Any] | None:
        """What `finish` wrote, or None for a run that is not finished."""
        return read_json(self.folder / "summary.json")

    def is_complete(self) -> bool:
        """Whether it is finished, with all its folds: there may have been no time for some."""
        about = self.summary()
        return about is not None and about.get("complete", True)

    def description(self) -> dict[str, Any]:
        """All that the result depends on; see `open_run`. Raises UserError where it cannot be read."""
        about = read_json(self.folder / "config.json")
        if about is None:
            raise UserError(f"{self.folder / 'config.json'} cannot be read: remove the folder {self.folder}")
        return about

    def members(self) -> list["Run"]:
        """The runs that an ensemble or a blend was made of; none of a run that was trained."""
        return [Run(self.folder.with_name(name)) for name in self.description().get("members", ())]

    def checkpoints(self) -> list[Path]:
        """The weights that each trained fold of its own predicts with."""
        done = sorted(self.folder.glob(f"fold*/{TRAINED}"))
        kept = [(path, read_json(path)) for path in done]
        return [path.with_name(f"{about['keep']}.pt") for path, about in kept if about]

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
            with (
                FileLock(self.folder / ".lock", timeout=0),
                logged_in(self.folder),
                warnings_kept(self.folder),
            ):
                remove_leftovers(self.folder, deep=True)
                yield
        except Timeout:
            raise UserError(
                f"another process is working on {self.folder}: wait for it, or change an option"
            ) from None


def read_json(path: Path) -> Any | None:
    """A JSON file, or None where there is none or it cannot be read."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def open_run(runs: Path, config_name: str, description: dict[str, Any], date: datetime.date) -> Run:
    """The run of this description: the one begun earlier, on whatever day, or a new folder.

    Parameters
    ----------
    runs : folder of the competition's runs.
    description : all that the result depends on; saved as config.json.
    """
    key = digest(description)
    existing = [folder for folder in sorted(runs.glob(f"{config_name}-*-{key}")) if _is_whole(folder)]
    folder = existing[0] if existing else runs / f"{config_name}-{date:%Y%m%d}-{key}"
    folder.mkdir(parents=True, exist_ok=True)
    if not _is_whole(folder):
        write_json(folder / "config.json", description)
    return Run(folder)


def _is_whole(folder: Path) -> bool:
    return isinstance(read_json(folder / "config.json"), dict)


def runs_beside(run: Run) -> Iterator[tuple[Run, dict[str, Any]]]:
    """The other runs of the competition with their descriptions, the newest first. One whose description
    cannot be read is told of and left out."""
    folders = [path for path in run.folder.parent.glob("*/config.json") if path.parent != run.folder]
    for path in sorted(folders, key=lambda path: (-path.stat().st_mtime_ns, path)):
        about = read_json(path)
        if isinstance(about, dict):
            yield Run(path.parent), about
        else:
            say(f"warning: {path} cannot be read, so that run is left out: remove its folder")


def all_checkpoints(run: Run) -> list[Path]:
    """Its own checkpoints and those of its members."""
    return run.checkpoints() + [path for member in run.members() for path in all_checkpoints(member)]


def save_frame(frame: pd.DataFrame, path: Path) -> None:
    """Write a frame as parquet, atomically."""
    if FILE_COLUMN in frame:
        names = [os.path.relpath(name, path.parent) for name in frame[FILE_COLUMN]]
        frame = frame.assign(**{FILE_COLUMN: names})
    with atomic_path(path) as temporary:
        frame.to_parquet(temporary, index=False)


def read_frame(path: Path) -> pd.DataFrame:
    """Inverse of `save_frame`. Raises UserError where the file is missing or damaged."""
    try:
        frame = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{path} cannot be read ({reason}): delete it and run again") from error
    if FILE_COLUMN in frame:
        names = [os.path.normpath(path.parent / name) for name in frame[FILE_COLUMN]]
        frame = frame.assign(**{FILE_COLUMN: names})
    return frame
