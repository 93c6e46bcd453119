"""Pictures for people. Each function writes one PNG and returns its path."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pipeline.base.files import atomic_path
from pipeline.inputs.batches import Images

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TILES = (4, 8)
"""Rows and columns of an image grid."""


def _figure(size: tuple[float, float]) -> "Figure":
    """An empty figure of `size` in inches. Imported here: most stages draw nothing, and need not carry it."""
    from matplotlib.figure import Figure

    return Figure(figsize=size)


def save_figure(figure: "Figure", path: Path) -> Path:
    """Write `figure` as PNG, atomically."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110, bbox_inches="tight")
    return path


def plot_curves(histories: dict[str, pd.DataFrame], metric: str, path: Path) -> Path:
    """Loss, validation score and learning rate by epoch, one line for each fold.

    Parameters
    ----------
    histories : history.csv of each fold, by the fold's name.
    """
    figure = _figure((12, 3.4))
    axes = figure.subplots(1, 3)
    for axis, column, title in zip(
        axes, ("loss", "score", "lr"), ("training loss", f"validation {metric}", "learning rate"), strict=True
    ):
        for name, history in histories.items():
            axis.plot(history["epoch"], history[column], marker=".", label=name)
        axis.set_title(title)
        axis.set_xlabel("epoch")
        axis.grid(alpha=0.3)
    axes[0].legend()
    return save_figure(figure, path)


def plot_confusion(
    truth: Sequence[str], predicted: Sequence[str], classes: Sequence[str], path: Path
) -> Path:
    """Share of each true class (row) predicted as each class (column), in percent."""
    table = pd.crosstab(np.asarray(truth, dtype=object), np.asarray(predicted, dtype=object))
    counts = table.reindex(index=list(classes), columns=list(classes), fill_value=0).to_numpy()
    share = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = max(4, 0.55 * len(classes) + 1.5)
    figure = _figure((side, side))
    axis = figure.subplots()
    axis.imshow(share, cmap="Blues", vmin=0, vmax=100)
    axis.set_xticks(range(len(classes)), classes, rotation=60, ha="right")
    axis.set_yticks(range(len(classes)), classes)
    axis.set_xlabel("predicted")
    axis.set_ylabel("true")
    axis.set_title("confusion, % of the true class")
    if len(classes) <= 30:
        for row, column in np.argwhere(share >= 0.5):
            color = "white" if share[row, column] > 50 else "black"
            axis.text(
                column, row, f"{share[row, column]:.0f}", ha="center", va="center", color=color, fontsize=8
            )
    return save_figure(figure, path)


def plot_mistakes(
    truth: pd.DataFrame, oof: pd.DataFrame, images: Images, classes: Sequence[str], path: Path
) -> Path:
    """The images whose true class got the least probability, with what was predicted instead.

    Parameters
    ----------
    truth : image_id and label, in `oof`'s row order.
    images : split that holds these images, among others.
    """
    probabilities = oof[list(classes)].to_numpy()
    label = pd.Index(classes).get_indexer(truth["label"])
    given = probabilities[np.arange(len(label)), label]
    predicted = probabilities.argmax(axis=1)
    worst = [row for row in np.argsort(given, kind="stable") if predicted[row] != label[row]][
        : TILES[0] * TILES[1]
    ]
    row_of = pd.Series(range(len(images)), index=images.frame["image_id"])
    tiles = [
        (
            images.read(int(row_of[truth["image_id"].iat[row]])),
            f"{classes[predicted[row]]} {probabilities[row].max():.2f}\n"
            f"is {classes[label[row]]} {given[row]:.2f}",
        )
        for row in worst
    ]
    return plot_grid(tiles, f"worst of {np.sum(predicted != label):,} mistakes in {len(label):,}", path)


def plot_grid(tiles: Sequence[tuple[np.ndarray, str]], title: str, path: Path) -> Path:
    """Images (uint8, height x width x 3) with a caption each, eight in a row."""
    rows = max(1, -(-len(tiles) // TILES[1]))
    figure = _figure((1.5 * TILES[1], 1.85 * rows + 0.5))
    figure.suptitle(title)
    for axis, tile in zip(
        figure.subplots(rows, TILES[1], squeeze=False).flat, [*tiles, *[None] * rows * TILES[1]], strict=False
    ):
        axis.axis("off")
        if tile is not None:
            axis.imshow(tile[0])
            axis.set_title(tile[1], fontsize=7)
    return save_figure(figure, path)
