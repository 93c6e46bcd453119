"""A new competition's folder, made from the template of its task:
``python -m pipeline.competition.new SLUG TASK``."""

import keyword
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Annotated

import tyro

from pipeline.base.errors import UserError, disk_fault, fault_sentence, told_to_the_user
from pipeline.base.progress import say

COMMON = Path(__file__).with_name("template")
TEMPLATES = {path.parent.name: path for path in sorted((COMMON.parents[1] / "tasks").glob("*/template"))}
"""A folder of files for each task, besides the ones that all have in common. They end in .txt, because they
are no modules of this package; ``$slug`` in them stands for the name."""
COMPETITIONS = "competitions"
SLUG = re.compile(r"[a-z][a-z0-9_]{0,49}")


@dataclass(frozen=True)
class NewOptions:
    """Write a competition folder that works at once, on generated images, and is to be edited."""

    slug: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="SLUG")]
    """Name of the competition and of its folder: a lowercase Python identifier, such as leaf_types."""
    task: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="TASK")]
    """What is predicted; a folder of pipeline/tasks."""


def write_competition(root: Path, slug: str, task: str) -> Path:
    """Write ``<root>/competitions/<slug>`` from the template of `task`.

    Parameters
    ----------
    root : the project's folder.

    Returns
    -------
    The new folder. Killed at any moment, it is there whole or not at all.

    Raises
    ------
    UserError : a name that is no lowercase identifier or is taken, an unknown task, no ``competitions`` in
        `root`, or one that cannot be written to.
    """
    folder = root / COMPETITIONS / slug
    _check(folder, slug, task)
    try:
        # One level deeper than competitions are looked for, so that nobody takes a part for a whole one.
        with tempfile.TemporaryDirectory(prefix=".new-", dir=folder.parent) as temporary:
            made = Path(temporary) / slug
            made.mkdir()
            for template in sorted([*COMMON.iterdir(), *TEMPLATES[task].iterdir()]):
                text = Template(template.read_text(encoding="utf-8")).substitute(slug=slug)
                (made / template.name.removesuffix(".txt")).write_text(text, encoding="utf-8", newline="\n")
            made.rename(folder)  # fails where something has come there since
    except OSError as error:
        fault = disk_fault(error, folder)
        raise UserError(
            fault_sentence(fault) if fault else f"{folder} cannot be written: {error.strerror or error}"
        ) from error
    return folder


def _check(folder: Path, slug: str, task: str) -> None:
    if task not in TEMPLATES:
        raise UserError(f"there is no task {task!r}: give TASK={'|'.join(TEMPLATES)}")
    if not SLUG.fullmatch(slug) or keyword.iskeyword(slug):
        raise UserError(
            f"{slug!r} cannot name a competition: give COMP=<name> with up to 50 of a-z, 0-9 and _, a letter "
            "first, that is no keyword of Python"
        )
    if not folder.parent.is_dir():
        raise UserError(
            f"there is no folder {COMPETITIONS} in {folder.parent.parent.resolve()}: run this where it is"
        )
    if os.path.lexists(folder):
        raise UserError(f"{folder} is there already: give another name, or remove it first")


def main() -> None:
    """Write the folder that the command line asks for, below the current directory."""
    options = tyro.cli(NewOptions, prog="python -m pipeline.competition.new")
    with told_to_the_user():
        folder = write_competition(Path(), options.slug, options.task)
    say(f"try it with make submit COMP={options.slug}, then edit what {folder / 'README.md'} says")
    print(f"competition: {folder}", flush=True)


if __name__ == "__main__":
    main()
