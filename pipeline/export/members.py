"""The trained networks of a run: those of its folds, or of the folds of its members, with their shares."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.base.errors import UserError, name_some
from pipeline.runs.run import Run


@dataclass(frozen=True)
class Member:
    """A checkpoint, and its weight in the mean of all."""

    path: Path
    weight: float

    @property
    def name(self) -> str:
        """Of the run and the fold, such as ``base-20260102-0a1b2c3d-fold0``."""
        return f"{self.path.parents[1].name}-{self.path.parent.name}"


def members_of(run: Run) -> list[Member]:
    """The networks whose mean the run's test predictions are.

    Raises
    ------
    UserError : a blend that is no plain mean, or weights that are gone.
    """
    return list(_members(run, 1.0))


def _members(run: Run, weight: float) -> Iterator[Member]:
    runs = run.members()
    method = run.description().get("method", "mean")
    if method != "mean":
        raise UserError(
            f"{run.name} is a blend by {method}, which no single network gives: name one of its runs "
            f"({name_some([one.name for one in runs])}), or blend with --method mean"
        )
    for one in runs:
        yield from _members(one, weight / len(runs))
    if not runs:
        paths = run.checkpoints()
        lost = [path for path in paths if not path.is_file()]
        if lost or not paths:
            raise UserError(
                f"{lost[0] if lost else run.folder / 'fold0'} is missing: train {run.name} again, or name "
                "another RUN="
            )
        for path in paths:
            yield Member(path, weight / len(paths))


def chosen_run(runs: Path, name: str | None) -> Run:
    """The finished run of this name, or the newest finished one. Raises UserError where there is none."""
    finished = sorted(runs.glob("*/summary.json"), key=lambda path: (path.stat().st_mtime_ns, path))
    names = [path.parent.name for path in finished]
    if name is None and names:
        return Run(runs / names[-1])
    if name is None or name not in names:
        there = f"there are {name_some(names)}" if names else "make submit makes one"
        what = "no finished run" if name is None else f"no finished run {name}"
        raise UserError(f"there is {what} in {runs}: {there}")
    return Run(runs / name)
