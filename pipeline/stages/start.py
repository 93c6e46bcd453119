"""What a command does before the libraries are imported, which takes seconds: list the stages, refuse one
that there is not, and say that it has begun. Imports nothing that takes time."""

import ast
import difflib
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from pipeline.base.stopping import stoppable

NAMES = (
    "submit",
    "data",
    "folds",
    "audit",
    "preview",
    "lr-find",
    "train",
    "predict",
    "compare",
    "sweep",
    "blend",
    "explain",
    "upload",
    "scores",
    "workspace",
    "class-folders",
    "export-model",
    "kernel",
)
"""Of the stages, in the order in which they are listed. Each is a module of this folder."""
BROKEN_PIPE = 128 + signal.SIGPIPE
"""Exit status where nobody reads what is printed any more."""


def module_name(stage: str) -> str:
    """Of a stage's module in this folder."""
    return stage.replace("-", "_")


@contextmanager
def starting(slug: str) -> Iterator[None]:
    """Around a competition's command and its imports: stoppable at any moment, and quiet where nobody reads
    what it prints, as under ``| head``.

    Raises
    ------
    SystemExit : the stages were listed, or interrupted.
    """
    with stoppable(), unread_output():
        arguments = sys.argv[1:]
        check_stage(slug, arguments)
        print(f"{slug} {arguments[0]}: loading the libraries ...", file=sys.stderr, flush=True)
        yield


@contextmanager
def unread_output() -> Iterator[None]:
    """Around a command: a reader of stdout that has gone away ends it, without a word, with status
    `BROKEN_PIPE`."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # What is left in the buffer has nowhere to go, and Python would complain when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(BROKEN_PIPE)


def check_stage(slug: str, arguments: Sequence[str]) -> None:
    """List the stages and exit where no stage there is comes first: with 0 where the list was asked for, else
    with 2."""
    given = arguments[0] if arguments else None
    if given not in NAMES:
        _print_stages(slug, given)


def _print_stages(slug: str, given: str | None) -> NoReturn:
    wrong = given not in (None, "-h", "--help")
    stream = sys.stderr if wrong else sys.stdout
    if wrong:
        close = difflib.get_close_matches(str(given), NAMES, n=1)
        hint = f": did you mean {close[0]}?" if close else ""
        print(f"error: there is no stage {given!r}{hint}\n", file=stream)
    print(f"usage: python -m competitions.{slug} STAGE [options]", file=stream)
    print("STAGE --help lists the options\n", file=stream)
    for name in NAMES:
        print(f"  {name:<14}{_first_line(name)}", file=stream)
    sys.exit(2 if wrong else 0)


def _first_line(stage: str) -> str:
    """Of the docstring of a stage's module, which is read and not imported."""
    text = (Path(__file__).parent / f"{module_name(stage)}.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
