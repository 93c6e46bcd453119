"""What a command's stages share: the competition, its data, the device, and how a run is made of options."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import torch

from pipeline.base.device import named_device
from pipeline.base.errors import UserError
from pipeline.base.paths import Paths
from pipeline.competition.base import Competition
from pipeline.competition.prepare import prepare
from pipeline.competition.prepared import Prepared
from pipeline.competition.sources import Source, Wanted, find_source
from pipeline.competition.unreadable import OnBadImage
from pipeline.config.config import Entry
from pipeline.raw.files import is_visible


@dataclass(frozen=True, kw_only=True)
class Context:
    """What all stages of a command share. The data are found, fetched and prepared when a stage first asks
    for them, because some need no image.

    Attributes
    ----------
    configs : the competition's experiments by name.
    arguments : what was typed after the stage's name.
    wanted, raw : where the raw files come from, as for `find_source`.
    on_bad_image : what is done with images that cannot be read, as for `prepare`.
    copies_gb : bound of smaller copies of images; see `pipeline.inputs.filling`.
    wanted_device : what computes, as for `named_device`.
    began : when the command began, in seconds since 1970.
    """

    competition: Competition
    configs: Mapping[str, Entry]
    paths: Paths
    arguments: tuple[str, ...] = ()
    wanted: Wanted = "auto"
    raw: Path | None = None
    on_bad_image: OnBadImage = "error"
    copies_gb: float | None = None
    wanted_device: str = "auto"
    began: float = field(default_factory=time.time)

    @cached_property
    def source(self) -> Source:
        """The raw files. Raises UserError as `find_source` does."""
        return find_source(self.competition, self.paths, self.wanted, self.raw)

    @cached_property
    def data(self) -> Prepared:
        """The prepared data. Raises UserError: raw files or sample submission that make no sense."""
        home = self.paths.data / self.competition.slug
        return prepare(self.competition, self.source, home, self.on_bad_image)

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
        """What computes. Raises UserError where the one asked for cannot."""
        return named_device(self.wanted_device)

    def typed(self, arguments: tuple[str, ...]) -> "Context":
        """The same with other arguments; what is fetched and prepared is shared."""
        other = replace(self, arguments=arguments)
        shared = {name: value for name, value in vars(self).items() if name in ("source", "data", "device")}
        vars(other).update(shared)
        return other

    @property
    def runs(self) -> Path:
        """The competition's folder of runs."""
        return self.paths.runs / self.competition.slug

    @property
    def submissions(self) -> Path:
        """The competition's folder of submissions, with the ledger."""
        return self.paths.submissions / self.competition.slug
