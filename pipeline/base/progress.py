"""What a person sees while work goes on: a live bar in a terminal, plain lines elsewhere. All of it on
stderr."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from pipeline.base.errors import printable

WARNING = "warning: "
"""How a warning begins."""
PLAIN_INTERVAL = 15.0
"""Seconds between two plain progress lines, so that a Kaggle log or a CI log stays readable."""


KEPT = "warnings.txt"
"""In a folder: what was warned of while work on it went on, each once."""
_folder: ContextVar[Path | None] = ContextVar("folder", default=None)


_plainly: ContextVar[bool] = ContextVar("plainly", default=False)


@contextmanager
def plainly() -> Iterator[None]:
    """Around work of one process among several: plain lines also in a terminal, for bars would overwrite one
    another."""
    token = _plainly.set(True)
    try:
        yield
    finally:
        _plainly.reset(token)


def say(text: str) -> None:
    """Print one line for the person watching. stdout is left to results. A warning is also kept in the folder
    that is worked on, see `warnings_kept`."""
    folder = _folder.get()
    if text.startswith(WARNING) and folder is not None and text.removeprefix(WARNING) not in said_of(folder):
        with suppress(OSError), (folder / KEPT).open("a", encoding="utf-8") as file:
            file.write(printable(text.removeprefix(WARNING)) + "\n")
    print(printable(text, keep="\n"), file=sys.stderr, flush=True)


@contextmanager
def warnings_kept(folder: Path) -> Iterator[None]:
    """Around work on a folder: warnings are kept in it, for `said_of`."""
    token = _folder.set(folder)
    try:
        yield
    finally:
        _folder.reset(token)


def said_of(folder: Path) -> list[str]:
    """The warnings kept in a folder, in the order they came in."""
    try:
        return (folder / KEPT).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def banner(text: str) -> None:
    """Print a line nobody can overlook."""
    rule = "=" * min(100, len(text) + 4)
    say(rule)
    say(text if text.startswith(WARNING) else f"  {text}")
    say(rule)


class Advance(Protocol):
    """Called as work is done: by how much, and what else to show beside it from now on."""

    def __call__(self, count: int, note: str = "") -> None: ...


@contextmanager
def progress(description: str, total: int, unit: str) -> Iterator[Advance]:
    """Yield ``advance(n, note)``; shows the amount done, its rate, the time left and the last note."""
    if sys.stderr.isatty() and not _plainly.get():
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f} " + unit),
            _Rate(unit),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(description, total=total, note="")

            def advance(count: int, note: str = "") -> None:
                if note:
                    bar.update(task, advance=count, note=note)
                else:
                    bar.update(task, advance=count)

            yield advance
    else:
        yield _plain(description, total, unit)


class _Rate(ProgressColumn):
    """Units per second; empty until there is something to divide."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed:,.0f} {self.unit}/s")


def _plain(description: str, total: int, unit: str) -> Advance:
    started = said = time.monotonic()
    done, last_note = 0, ""

    def advance(count: int, note: str = "") -> None:
        nonlocal done, said, last_note
        done += count
        last_note = note or last_note
        now = time.monotonic()
        if now - said >= PLAIN_INTERVAL:
            said = now
            rate = done / (now - started)
            left = (total - done) / rate if rate else float("inf")
            said_so_far = f"{done:,}/{total:,} {unit}, {rate:,.0f} {unit}/s, {left:,.0f} s left"
            say(f"{description}: {said_so_far}{', ' if last_note else ''}{last_note}")

    return advance
