"""Writes docs/gallery.md from a run of every competition: ``python -m tests.gallery.document``."""

import contextlib
import tempfile
from pathlib import Path

import torch

from tests.gallery.rows import ROWS, Row
from tests.gallery.run import lines_of, load, run_all

PAGE = Path(__file__).parents[2] / "docs" / "gallery.md"
NOT_YET = (
    ("bms-molecular-translation, gesture and contact in videos, lidar", "text, video and 3-D; not planned"),
    ("kuzushiji's 4,212 characters", "a detector scores every class of every box; the folder has four"),
    ("osic-pulmonary-fibrosis", "rows of weeks beside the images; Regression(uncertain=True) has the rest"),
    ("siim-covid19", "rows of studies and of images in one file; LabelRows has a row for each class"),
    ("uw-madison's own metric", "distances between surfaces in 3-D; the row is graded by Dice"),
)
"""Competitions that a folder cannot express, and what it would take."""

HEAD = """# Gallery

Public competitions, each a folder in `tests/gallery/` with nothing but what differs from the defaults. Their
generators write the organiser's own layout (file names, tables, archives); the images are patches of colour,
so the figures say that all parts work together and nothing about the real task. `make test` runs those marked
with a dot, `make test-slow` the others.

Lines are those of `competition.py`, with imports and the config, without blank lines and comments. The figure
is the metric of the sample's hidden test images, after seconds of training on one CPU core.

This page is written by `python -m tests.gallery.document`.

| competition | lines | task | metric | figure | a guess | |
|---|---:|---|---|---:|---:|---|
"""
TAIL = """
## Not yet

What a folder alone cannot say, and what it would take.

| competition | needs |
|---|---|
"""


def table_row(row: Row, score: float) -> str:
    """A competition's line of the table."""
    competition, _ = load(row.slug)
    task = next(kind.__name__ for kind in type(competition.task).__mro__ if "pipeline." in kind.__module__)
    if competition.decision is not None:
        task += f", {type(competition.decision).__name__}"
    link = f"[{competition.kaggle_slug}](../tests/gallery/{row.slug}/competition.py)"
    cells = (lines_of(row.slug), task, competition.metric.name, f"{score:.3f}", f"{row.chance:.3f}")
    return f"| {link} | {' | '.join(map(str, cells))} | {'•' if row.fast else ''} |\n"


def measured(row: Row) -> float:
    """The score of a run in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        return run_all(row.slug).score


def main() -> None:
    """Run them all and write the page."""
    torch.set_num_threads(1)
    table = [table_row(row, measured(row)) for row in ROWS]
    missing = [f"| {name} | {needs} |\n" for name, needs in NOT_YET]
    PAGE.write_text(HEAD + "".join(table) + TAIL + "".join(missing), encoding="utf-8")


if __name__ == "__main__":
    main()
