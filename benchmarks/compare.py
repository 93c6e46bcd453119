"""Timing two ways of doing the same work, alternating so that a noisy machine disturbs both alike."""

import math
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
    repeats : timed bursts of each.
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


BURST_MS = 20
"""Shortest time that is measured at once. A call of 0.1 ms is repeated: alone, right after its peer, it would
be measured with the peer's data in the caches and its own threads asleep."""


def measure(case: Case) -> Result:
    """Warm both sides up, then time bursts of each in turn."""
    bursts = [(function, _burst(function)) for function in (case.ours, case.peer)]
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(case.repeats):
        for (function, calls), taken in zip(bursts, times, strict=True):
            taken.append(_milliseconds(function, calls) / calls)
    return Result(case, *map(statistics.median, times))


def _burst(function: Callable[[], object]) -> int:
    """How many calls fill a burst."""
    function()
    return max(1, math.ceil(BURST_MS / max(_milliseconds(function, 1), 1e-3)))


def _milliseconds(function: Callable[[], object], calls: int) -> float:
    started = time.perf_counter()
    for _ in range(calls):
        function()
    return 1000 * (time.perf_counter() - started)
