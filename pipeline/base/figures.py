"""Figures: made without a display, written atomically."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.base.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TILES = (4, 8)
"""Rows and columns of an image grid."""


def new_figure(size: tuple[float, float]) -> "Figure":
    """An empty figure of `size` in inches. Imported here: most stages draw nothing, and need not carry it."""
    from matplotlib.figure import Figure

    return Figure(figsize=size)


def save_figure(figure: "Figure", path: Path) -> Path:
    """Write `figure` as PNG, atomically.

    Its texts are shown letter by letter: a dollar sign in a class's name is no formula. The numbers of a
    logarithmic axis are formulae, by matplotlib's own hand.
    """
    from matplotlib.text import Text

    axes = [axis for one in figure.axes for axis in (one.xaxis, one.yaxis) if axis.get_scale() == "log"]
    numbers = {
        text for axis in axes for which in ("major", "minor") for text in axis.get_ticklabels(which=which)
    }
    for text in figure.findobj(Text):
        if text not in numbers:
            text.set_parse_math(False)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110, bbox_inches="tight")
    return path


def plot_grid(tiles: Sequence[tuple[np.ndarray, str]], title: str, path: Path) -> Path:
    """Images (uint8, height x width x 3) with a caption each, eight in a row."""
    rows = max(1, -(-len(tiles) // TILES[1]))
    figure = new_figure((1.5 * TILES[1], 1.85 * rows + 0.5))
    figure.suptitle(title)
    for axis, tile in zip(
        figure.subplots(rows, TILES[1], squeeze=False).flat, [*tiles, *[None] * rows * TILES[1]], strict=False
    ):
        axis.axis("off")
        if tile is not None:
            axis.imshow(tile[0])
            axis.set_title(tile[1], fontsize=7)
    return save_figure(figure, path)
