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
    ours, peer : functions without arguments that do the same work. A function that returns a number has timed
        itself: the seconds that count.
    target : how many times faster than the peer we mean to be; None: nothing is promised.
    repeats : timed bursts of each.
    against : what the peer is.
    """

    name: str
    ours: Callable[[], object]
    peer: Callable[[], object]
    target: float | None
    repeats: int = 9
    against: str = "torchvision"


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
        return self.case.target is not None and self.ratio < 0.8 * self.case.target

    def row(self) -> str:
        """As a row of a Markdown table."""
        target = "" if self.case.target is None else f">= {self.case.target:g}x{' MISSED' * self.missed}"
        return (
            f"| {self.case.name} | {self.ours_ms:.3g} | {self.peer_ms:.3g} | {self.case.against} | "
            f"{self.ratio:.2f}x | {target} |"
        )


HEAD = "| case | ours, ms | peer, ms | peer | ratio | target |\n|---|---|---|---|---|---|"
"""Above the rows."""

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
    started, counted = time.perf_counter(), 0.0
    for _ in range(calls):
        returned = function()
        counted += returned if isinstance(returned, float) else 0.0
    return 1000 * (counted or time.perf_counter() - started)
