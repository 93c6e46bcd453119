"""What a stage works on, and the workshop it stands in."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import torch

from pipeline.base.device import pick_device
from pipeline.base.errors import UserError
from pipeline.base.paths import Paths
from pipeline.competition.contract import Competition
from pipeline.competition.prepare import Prepared, prepare
from pipeline.competition.sources import Source, find_source
from pipeline.experiment.blend import Method
from pipeline.experiment.experiment import Experiment
from pipeline.raw.files import is_visible
from pipeline.track.wandb_log import TrackConfig


@dataclass(frozen=True)
class Workshop:
    """What all benches of a command share. The data are found, fetched and prepared when a stage first asks
    for them, because some need no image.

    Attributes
    ----------
    wanted, raw : where the raw files come from, as for `find_source`.
    """

    competition: Competition
    paths: Paths
    wanted: Literal["auto", "kaggle", "mirror", "sample"] = "auto"
    raw: Path | None = None

    @cached_property
    def source(self) -> Source:
        """The raw files. Raises UserError as `find_source` does."""
        return find_source(self.competition, self.paths, self.wanted, self.raw)

    @cached_property
    def data(self) -> Prepared:
        """The prepared data. Raises UserError: raw files or sample submission that make no sense."""
        data = prepare(self.competition, self.source, self.paths.data / self.competition.slug)
        self.competition.submission_format(data.classes).check_sample(data.sample_submission, data.test)
        return data

    def data_of(self, run: str, kind: str) -> Prepared:
        """The data that a run's file is checked against.

        Parameters
        ----------
        kind : where the run's images came from; see `Source`.

        Raises
        ------
        UserError : they came from a folder and none is given, so that all would be downloaded instead.
        """
        folder = self.paths.data / self.competition.slug / "raw"
        there = folder.is_dir() and any(is_visible(path.name) for path in folder.iterdir())
        if kind == "folder" and self.wanted == "auto" and self.raw is None and not there:
            raise UserError(
                f"{run} was trained on a folder of raw files, and its file is checked against them: give "
                "the same RAW=<folder> again"
            )
        return self.data

    @cached_property
    def device(self) -> torch.device:
        """What computes."""
        return pick_device()


@dataclass(frozen=True)
class Workbench:
    """What a stage works on.

    Attributes
    ----------
    choose : makes the name of the chosen entry of the competition's configs, and its experiments.
    out : where the user also wants the result.
    format : csv, or the other submission format to write as well.
    run, runs, method : which run to upload; which to blend, and how.
    """

    workshop: Workshop
    choose: Callable[[], tuple[str, list[Experiment]]]
    track: TrackConfig
    out: Path | None = None
    format: str = "csv"
    run: str | None = None
    runs: tuple[str, ...] = ()
    method: Method | None = None

    @cached_property
    def _chosen(self) -> tuple[str, list[Experiment]]:
        return self.choose()

    @property
    def name(self) -> str:
        """The chosen entry of the competition's configs."""
        return self._chosen[0]

    @property
    def experiments(self) -> list[Experiment]:
        """One, or the members of an ensemble. Asking for them asks for the data."""
        return self._chosen[1]

    @property
    def submissions(self) -> Path:
        """The competition's folder of submissions, with the ledger."""
        return self.workshop.paths.submissions / self.workshop.competition.slug
