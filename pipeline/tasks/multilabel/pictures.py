"""Pictures of what a network gets right and wrong about independent labels."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.base.figures import TILES, new_figure, plot_grid, save_figure
from pipeline.metrics.ranking import roc_auc
from pipeline.tasks.task import ReportRequest

MOST = 40
"""Labels in a picture."""


def plot_label_scores(true: np.ndarray, values: np.ndarray, classes: Sequence[str], path: Path) -> Path:
    """Bars of each label's ROC AUC with how many images have it, the worst labels first.

    Parameters
    ----------
    true : (N, C) of 0 and 1.
    values : (N, C) probabilities.
    """
    scores = np.array([roc_auc(true[:, place], values[:, [place]]) for place in range(len(classes))])
    order = np.argsort(np.where(np.isnan(scores), 2, scores), kind="stable")[:MOST][::-1]
    figure = new_figure((7, 0.27 * len(order) + 1.2))
    axis = figure.subplots()
    bars = axis.barh([classes[place] for place in order], np.nan_to_num(scores[order]), color="#4878a8")
    counts = true.sum(axis=0)
    texts = [
        "one side only" if np.isnan(scores[place]) else f"{scores[place]:.3f} ({int(counts[place]):,} images)"
        for place in order
    ]
    axis.bar_label(bars, texts, padding=3, fontsize=8)
    axis.set_xlim(0, 1.4)
    axis.set_xlabel("ROC AUC")
    axis.set_title(f"AUC of each label, mean {np.nanmean(scores):.3f}" if (scores == scores).any() else "AUC")
    axis.grid(axis="x", alpha=0.3)
    return save_figure(figure, path)


def plot_mistakes(true: np.ndarray, values: np.ndarray, request: ReportRequest, path: Path) -> Path:
    """The images with the greatest single mistake: which label, and its probability."""
    errors = np.abs(true - values)
    worst = np.argsort(-errors.max(axis=1), kind="stable")[: TILES[0] * TILES[1]]
    row_of = pd.Series(range(len(request.images)), index=request.images.frame["image_id"])
    tiles = []
    for row in worst.tolist():
        image_id, place = request.truth["image_id"].iloc[row], int(errors[row].argmax())
        is_there = "there" if true[row, place] else "not there"
        caption = f"{image_id}\n{request.classes[place]} {values[row, place]:.2f}, {is_there}"
        tiles.append((request.images.picture(int(row_of[image_id])), caption))
    return plot_grid(tiles, "greatest single mistakes", path)
