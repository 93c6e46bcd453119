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
    """Write `figure` as PNG, atomically."""
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
