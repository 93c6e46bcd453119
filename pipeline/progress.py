"""What a person sees while work goes on: a live bar in a terminal, plain lines elsewhere. All of it on
stderr."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

PLAIN_INTERVAL = 15.0
"""Seconds between two plain progress lines, so that a Kaggle log or a CI log stays readable."""


def say(text: str) -> None:
    """Print one line for the person watching. stdout is left to results."""
    print(text, file=sys.stderr, flush=True)


def banner(text: str) -> None:
    """Print a line nobody can overlook."""
    rule = "=" * min(100, len(text) + 4)
    say(f"{rule}\n  {text}\n{rule}")


@contextmanager
def progress(description: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
    """Yield ``advance(n)``, to be called as work is done; shows the amount, its rate and the time left."""
    if sys.stderr.isatty():
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f} " + unit),
            _Rate(unit),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(description, total=total)
            yield lambda count: bar.update(task, advance=count)
    else:
        yield _plain(description, total, unit)


class _Rate(ProgressColumn):
    """Units per second; empty until there is something to divide."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed:,.0f} {self.unit}/s")


def _plain(description: str, total: int, unit: str) -> Callable[[int], None]:
    started = said = time.monotonic()
    done = 0

    def advance(count: int) -> None:
        nonlocal done, said
        done += count
        now = time.monotonic()
        if now - said >= PLAIN_INTERVAL:
            said = now
            rate = done / (now - started)
            left = (total - done) / rate if rate else float("inf")
            say(f"{description}: {done:,}/{total:,} {unit}, {rate:,.0f} {unit}/s, {left:,.0f} s left")

    return advance
