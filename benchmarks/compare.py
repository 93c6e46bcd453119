"""Timing two ways of doing the same work, alternating so that a noisy machine disturbs both alike."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """One row of a table.

    Attributes
    ----------
    ours, peer : functions without arguments that do the same work.
    target : how many times faster than the peer we mean to be.
    repeats : timed calls of each.
    """

    name: str
    ours: Callable[[], object]
    peer: Callable[[], object]
    target: float
    repeats: int = 9


@dataclass(frozen=True)
class Result:
    """Median milliseconds of each side."""

    case: Case
    ours_ms: float
    peer_ms: float

    @property
    def ratio(self) -> float:
        """How many times faster ours is."""
        return self.peer_ms / self.ours_ms

    @property
    def missed(self) -> bool:
        """Whether the ratio is more than a fifth below its target."""
        return self.ratio < 0.8 * self.case.target

    def row(self) -> str:
        """As a row of a Markdown table."""
        note = " MISSED" if self.missed else ""
        return (
            f"| {self.case.name} | {self.ours_ms:.3g} | {self.peer_ms:.3g} | {self.ratio:.1f}x | "
            f">= {self.case.target:g}x{note} |"
        )


def measure(case: Case) -> Result:
    """Warm both sides up once, then time them in turn."""
    case.ours()
    case.peer()
    ours, peer = [], []
    for _ in range(case.repeats):
        ours.append(_milliseconds(case.ours))
        peer.append(_milliseconds(case.peer))
    return Result(case, statistics.median(ours), statistics.median(peer))


def _milliseconds(function: Callable[[], object]) -> float:
    started = time.perf_counter()
    function()
    return 1000 * (time.perf_counter() - started)
