"""What a case of the corpus is: one thing that is wrong, and what is to come of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.competition.prepared import Prepared

Break = Callable[[Path], object]
"""Breaks a sound raw folder."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One thing that is wrong with raw files, options, the environment or what is stored.

    Attributes
    ----------
    world : the raw folder and its competition; see `tests.broken.worlds`.
    breaks : done to the sound raw folder.
    spoils : done to the current directory, which holds data/, runs/ and submissions/ of an earlier command.
    arguments : of the command line; ``--raw`` is added for stages that read raw files.
    environment : variables that are set.
    refused : words of the one sentence that it is refused with; none: it is accepted.
    says : words that it is accepted with.
    holds : what is true of data that are accepted.
    """

    name: str
    world: str
    breaks: Break = lambda raw: None
    spoils: Break = lambda folder: None
    arguments: tuple[str, ...] = ("data",)
    environment: Mapping[str, str] = field(default_factory=dict)
    refused: tuple[str, ...] = ()
    says: tuple[str, ...] = ()
    holds: Callable[[Prepared], object] | None = None

    def __str__(self) -> str:
        return f"{self.world}: {self.name}"


def refused(name: str, world: str, breaks: Break, *words: str, stage: str = "data") -> Case:
    """Raw files that a stage refuses with a sentence of these words."""
    assert words
    return Case(name=name, world=world, breaks=breaks, arguments=(stage,), refused=words)


def accepted(name: str, world: str, breaks: Break, holds: Callable[[Prepared], object], *says: str) -> Case:
    """Raw files that are read, and what is true of the data then."""
    return Case(name=name, world=world, breaks=breaks, holds=holds, says=says)
