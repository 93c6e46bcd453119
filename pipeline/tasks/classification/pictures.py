"""Pictures of what a classifier gets right and wrong."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.base.figures import TILES, new_figure, plot_grid, save_figure
from pipeline.inputs.batches import Images


def plot_confusion(
    truth: Sequence[str], predicted: Sequence[str], classes: Sequence[str], path: Path
) -> Path:
    """Share of each true class (row) predicted as each class (column), in percent."""
    table = pd.crosstab(np.asarray(truth, dtype=object), np.asarray(predicted, dtype=object))
    counts = table.reindex(index=list(classes), columns=list(classes), fill_value=0).to_numpy()
    share = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = max(4, 0.55 * len(classes) + 1.5)
    figure = new_figure((side, side))
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
    label = pd.Index(classes).get_indexer(pd.Index(truth["label"]))
    given = probabilities[np.arange(len(label)), label]
    predicted = probabilities.argmax(axis=1)
    order = np.argsort(given, kind="stable").tolist()
    worst = [row for row in order if predicted[row] != label[row]][: TILES[0] * TILES[1]]
    row_of = pd.Series(range(len(images)), index=images.frame["image_id"])
    tiles = [
        (
            images.read(int(row_of[truth["image_id"].iloc[row]])),
            f"{classes[predicted[row]]} {probabilities[row].max():.2f}\n"
            f"is {classes[int(label[row])]} {given[row]:.2f}",
        )
        for row in worst
    ]
    return plot_grid(tiles, f"worst of {np.sum(predicted != label):,} mistakes in {len(label):,}", path)
