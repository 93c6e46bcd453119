"""Pictures of how far predicted values are off."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.base.figures import TILES, new_figure, plot_grid, save_figure
from pipeline.tasks.task import ReportRequest

MOST = 4
"""Targets in a picture."""


def plot_values(true: np.ndarray, values: np.ndarray, names: Sequence[str], path: Path) -> Path:
    """Predicted (N, K or more) against true values (N, K), a panel for each target."""
    shown = list(names)[:MOST]
    figure = new_figure((4.2 * len(shown), 4))
    for place, axis in enumerate(figure.subplots(1, len(shown), squeeze=False).flat):
        x, y = true[:, place], values[:, place]
        axis.scatter(x, y, s=8, alpha=0.4, color="#4878a8", edgecolors="none")
        ends = [min(x.min(), y.min()), max(x.max(), y.max())]
        axis.plot(ends, ends, color="black", linewidth=0.8)
        off = np.abs(x - y)
        axis.set_title(f"{shown[place]}: half of them within {np.median(off):.3g}", fontsize=9)
        axis.set(xlabel="true", ylabel="predicted")
        axis.grid(alpha=0.3)
    return save_figure(figure, path)


def plot_mistakes(true: np.ndarray, values: np.ndarray, request: ReportRequest, path: Path) -> Path:
    """The images whose values are furthest off."""
    off = np.abs(values[:, : true.shape[1]] - true)
    worst = np.argsort(-off.max(axis=1), kind="stable")[: TILES[0] * TILES[1]]
    row_of = pd.Series(range(len(request.images)), index=request.images.frame["image_id"])
    tiles = []
    for row in worst.tolist():
        image_id, place = request.truth["image_id"].iloc[row], int(off[row].argmax())
        caption = f"{image_id}\n{values[row, place]:.3g}, is {true[row, place]:.3g}"
        tiles.append((request.images.picture(int(row_of[image_id])), caption))
    return plot_grid(tiles, "furthest off", path)
