"""Pictures of how far predicted shares are off."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import rel_entr

from pipeline.base.figures import TILES, new_figure, plot_grid, save_figure
from pipeline.tasks.task import ReportRequest

BINS = 10
"""Of predicted probabilities, each with its mean true share."""
COLUMNS, MOST = 4, 12
"""Most panels in a row, and classes in a picture: those with the largest shares."""


def plot_shares(true: np.ndarray, values: np.ndarray, classes: Sequence[str], path: Path) -> Path:
    """How far probabilities can be believed: their means against the means of the true shares.

    Parameters
    ----------
    true, values : (N, C) shares and probabilities.
    """
    shown = np.sort(np.argsort(-true.mean(axis=0), kind="stable")[:MOST])
    rows, columns = -(-len(shown) // COLUMNS), min(len(shown), COLUMNS)
    figure = new_figure((3 * columns, 3 * rows + 0.3))
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes[len(shown) :]:
        axis.axis("off")
    for axis, place in zip(axes, shown, strict=False):
        bins = np.minimum((values[:, place] * BINS).astype(int), BINS - 1)
        groups = pd.DataFrame({"p": values[:, place], "share": true[:, place]}).groupby(bins)
        means, counts = groups.mean(), groups.size()
        axis.plot([0, 1], [0, 1], color="black", linewidth=0.8)
        sizes = 10 + 150 * counts / counts.max()
        axis.scatter(means["p"], means["share"], s=sizes, color="#4878a8", alpha=0.8)
        axis.set_title(f"{classes[place]}: mean {true[:, place].mean():.3f}", fontsize=9)
        axis.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
        axis.grid(alpha=0.3)
    some = f", the {len(shown)} most frequent of {len(classes):,} classes" * (len(shown) < len(classes))
    figure.suptitle(f"true share (up) where a probability (right) was predicted{some}", fontsize=10)
    return save_figure(figure, path)


def plot_mistakes(true: np.ndarray, values: np.ndarray, request: ReportRequest, path: Path) -> Path:
    """The images whose shares diverge most from what was predicted, with the class that is furthest off."""
    divergence = rel_entr(true, values.clip(1e-15, 1)).sum(axis=1)
    worst = np.argsort(-divergence, kind="stable")[: TILES[0] * TILES[1]]
    row_of = pd.Series(range(len(request.images)), index=request.images.frame["image_id"])
    tiles = []
    for row in worst.tolist():
        image_id, place = request.truth["image_id"].iloc[row], int(np.abs(true - values)[row].argmax())
        caption = f"{image_id}\n{request.classes[place]} {values[row, place]:.2f}, is {true[row, place]:.2f}"
        tiles.append((request.images.picture(int(row_of[image_id])), caption))
    return plot_grid(tiles, "greatest divergence", path)
