"""Earlier runs whose predictions a run learns from: found, and checked to be honest."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.base.errors import UserError
from pipeline.base.files import digest, file_hash
from pipeline.base.progress import say
from pipeline.competition.base import Competition
from pipeline.competition.prepared import Prepared
from pipeline.config.config import Config
from pipeline.config.limits import option
from pipeline.experiment.combine import finished_run, options_of, refuse_unfinished
from pipeline.runs.run import FILE_COLUMN, Run, read_frame

Split = tuple[pd.DataFrame, Sequence[int]]
"""image_id and fold of all training images, and the folds that are trained."""


@dataclass(frozen=True, kw_only=True)
class Teachers:
    """Files of predictions.

    Attributes
    ----------
    pseudo : for each fold, the test predictions of models that have not seen it; none without pseudo-labels.
    distill : out-of-fold predictions, or None.
    """

    pseudo: dict[int, tuple[Path, ...]] = field(default_factory=dict)
    distill: Path | None = None

    def identity(self) -> dict[str, Any]:
        """The content of all files."""
        pseudo = {str(fold): [_content(path) for path in files] for fold, files in self.pseudo.items()}
        return {"pseudo": pseudo, "distill": _content(self.distill) if self.distill else ""}


def refuse_unknown_teachers(config: Config, runs: Path) -> None:
    """Raise UserError where a run that is to be learned from is not there or not finished."""
    for name in (config.pseudo.run, config.distill.run):
        if name is not None:
            refuse_unfinished(runs, name)


def find_teachers(
    competition: Competition, config: Config, data: Prepared, runs: Path, split: Callable[[], Split]
) -> Teachers:
    """The predictions that a config asks for.

    Parameters
    ----------
    runs : folder of the competition's runs.
    split : gives the split of the run that is to learn; called where there is something to learn from.

    Raises
    ------
    UserError : no such finished run, one of other data or of another split, or without one of the folds.
    """
    pseudo, distill = {}, None
    if config.pseudo.run is not None:
        run = finished_run(runs, config.pseudo.run, data)
        folds, numbers = split()
        members = _trained_members(run)
        for member in members:
            _refuse_other_split(member, folds, competition, config, "--pseudo")
        pseudo = {number: tuple(_test_file(member, number) for member in members) for number in numbers}
        if len(members) > 1:
            say(f"pseudo-labels are the mean of {len(members)} runs, fold by fold")
    if config.distill.run is not None:
        run = finished_run(runs, config.distill.run, data)
        for member in _trained_members(run):
            _refuse_other_split(member, split()[0], competition, config, "--distill")
        distill = run.folder / "oof.parquet"
        say(
            "distilling: predictions for an image are of models that have not seen it, but that have seen "
            "the images that a fold is measured on, which may flatter the CV a little"
        )
    return Teachers(pseudo=pseudo, distill=distill)


def _trained_members(run: Run) -> list[Run]:
    """The run, or those that were trained of the ones that it is made of, each once."""
    members = run.members()
    if not members:
        return [run]
    found = [one for member in members for one in _trained_members(member)]
    return list(dict.fromkeys(found))


def _refuse_other_split(
    run: Run, folds: pd.DataFrame, competition: Competition, config: Config, typed: str
) -> None:
    """Raise UserError where a run's folds are not these: its models have seen what is measured on here."""
    theirs = read_frame(run.folder / "folds.parquet").set_index("image_id")["fold"]
    if theirs.to_dict() == folds.set_index("image_id")["fold"].to_dict():
        return
    wanted, mine = vars(options_of(run, competition).folds), vars(config.folds)
    differ = [name for name in wanted if name != "use" and wanted[name] != mine[name]]
    options = [f"{option('folds', name)} {wanted[name]}" for name in differ]
    raise UserError(
        f"{typed} {run.name} was split into other folds, so its models have seen images that this run is "
        f"measured on: split alike{' with ' + ' '.join(options) if options else ', or train it again'}"
    )


def _test_file(run: Run, fold: int) -> Path:
    path = run.fold(fold) / "test.parquet"
    if not path.exists():
        raise UserError(
            f"{run.name} has no predictions of fold {fold} for the test images: train that fold there, or "
            "leave it out here with --folds.use"
        )
    return path


def _content(path: Path) -> str:
    """Digest of a table of predictions and of the files that it names."""
    frame = read_frame(path)
    files = frame[FILE_COLUMN].tolist() if FILE_COLUMN in frame else []
    return digest([file_hash(path), *(file_hash(Path(name)) for name in files)], length=16)
