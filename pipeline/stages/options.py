"""The options that several stages have. Every field's docstring is its help text."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from pipeline.base.errors import UserError
from pipeline.competition.sources import Wanted
from pipeline.competition.unreadable import OnBadImage
from pipeline.config.config import Config
from pipeline.track.wandb_log import TrackConfig


@dataclass(frozen=True, kw_only=True)
class Options:
    """No options."""


@dataclass(frozen=True, kw_only=True)
class SourceOptions(Options):
    """Where the raw files come from."""

    data: Wanted = "auto"
    """Where raw files come from. auto: the data folder, else Kaggle with credentials, else the generated
    sample."""
    raw: Path | None = None
    """Folder of raw files, only read; instead of --data."""
    on_bad_image: OnBadImage = "error"
    """Image files that cannot be read. error: all are named, and nothing is done. warn: test images are
    predicted from an empty image, training images are left out, and all are named."""


@dataclass(frozen=True, kw_only=True)
class OutOptions(Options):
    """Where the result goes besides."""

    out: Path | None = None
    """Also write the stage's result here: the submission, the picture, the table, the exported folder."""


@dataclass(frozen=True, kw_only=True)
class TrackOptions(Options):
    """Logging to wandb."""

    track: TrackConfig = field(default_factory=TrackConfig)


@dataclass(frozen=True, kw_only=True)
class NoteOptions(Options):
    """A person's words about a run."""

    note: str = ""
    """Words to tell the run by; in the ledger, the report and the leaderboard. They change no result."""


@dataclass(frozen=True, kw_only=True)
class ConfigOptions(Options):
    """Which experiment; all other options override single values of it."""

    config: str = "auto"
    """Entry of the competition's configs.py. auto: sample on sample data, else base with a GPU, fast
    without."""
    settings: Annotated[Config, tyro.conf.arg(name="")] = field(default_factory=Config)

    @property
    def names(self) -> list[str]:
        """The entries asked for; none for auto."""
        return [] if self.config == "auto" else self.config.split(",")

    @property
    def name(self) -> str | None:
        """The one entry asked for; None for auto."""
        return self.names[0] if self.names else None


@dataclass(frozen=True, kw_only=True)
class ComputeOptions(Options):
    """What computes."""

    device: str = "auto"
    """cpu, cuda, cuda:1 or mps. auto: a CUDA GPU that works, else the CPU. Does not change which run it
    is."""
    cache_gb: float | None = None
    """Most disk space in GB for copies of large images, as small as the config can use them, which are read
    many times as fast. None: half of what is free; 0: no copies. Changes no result."""

    def __post_init__(self) -> None:
        if self.cache_gb is not None and not 0 <= self.cache_gb < math.inf:
            raise UserError(f"--cache-gb is {self.cache_gb}, and must be 0 or more")


@dataclass(frozen=True, kw_only=True)
class WorkerOptions(Options):
    """How many folds are trained at once. It changes no result, but for rounding by --worker-cores."""

    workers: int | Literal["auto"] = "auto"
    """Folds that are trained at once, each in a process of its own. auto: one on each GPU; on the CPU one, or
    as many as have their --worker-cores."""
    worker_cores: int | None = None
    """Threads that each worker computes with. None: the cores, shared equally."""
    cluster: str | None = None
    """Train folds on a Ray cluster: auto for the one of this machine or of RAY_ADDRESS, host:port,
    ray://host:port, or local for one of this machine alone. All its machines see this folder at this path.
    None: processes of this machine, without Ray."""


@dataclass(frozen=True, kw_only=True)
class RunOptions(WorkerOptions, ConfigOptions, SourceOptions, TrackOptions, ComputeOptions, NoteOptions):
    """An experiment that becomes a run."""

    run: str | None = None
    """Go on with this unfinished run, under today's code, which it records; its config is its own."""
    hours: float | None = None
    """Wall time for the whole command. What fits is planned from measured speed: fewer epochs first, then no
    test-time augmentation, then fewer folds. Part of what the run is. No limit without it."""
