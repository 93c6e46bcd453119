"""Pictures of what a classifier gets right and wrong."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.base.figures import TILES, new_figure, plot_grid, save_figure
from pipeline.inputs.batches import Images

MOST = 30
"""Classes that a confusion matrix shows."""


def plot_confusion(
    truth: Sequence[str], predicted: Sequence[str], classes: Sequence[str], path: Path
) -> Path:
    """Share of each true class (row) predicted as each class (column), in percent; of more than `MOST`
    classes, those with the most mistakes."""
    shown, share = confusion(truth, predicted, classes)
    names = [str(classes[place]) for place in shown]
    side = max(4, 0.55 * len(names) + 1.5)
    figure = new_figure((side, side))
    axis = figure.subplots()
    axis.imshow(share, cmap="Blues", vmin=0, vmax=100)
    axis.set_xticks(range(len(names)), names, rotation=60, ha="right")
    axis.set_yticks(range(len(names)), names)
    axis.set_xlabel("predicted")
    axis.set_ylabel("true")
    some = f"\n{len(names)} of {len(classes):,} classes: those with the most mistakes"
    axis.set_title("confusion, % of the true class" + (some if len(names) < len(classes) else ""))
    for row, column in np.argwhere(share >= 0.5):
        color = "white" if share[row, column] > 50 else "black"
        axis.text(column, row, f"{share[row, column]:.0f}", ha="center", va="center", color=color, fontsize=8)
    return save_figure(figure, path)


def confusion(
    truth: Sequence[str], predicted: Sequence[str], classes: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """The classes that a confusion matrix shows and their part of it.

    Returns
    -------
    shown : int (K,), places in `classes`, ascending: all, or the `MOST` with the most mistakes.
    share : float64 (K, K), percent of the true class (row), all its images counted.
    """
    index = pd.Index(classes)
    true, found = (index.get_indexer(pd.Index(np.asarray(part, dtype=object))) for part in (truth, predicted))
    wrong = true != found
    mistakes = np.bincount(np.concatenate([true[wrong], found[wrong]]), minlength=len(classes))
    shown = np.sort(np.argsort(-mistakes, kind="stable")[:MOST])
    place = np.full(len(classes), -1)
    place[shown] = np.arange(len(shown))
    rows, columns = place[true], place[found]
    both = (rows >= 0) & (columns >= 0)
    counts = np.zeros((len(shown), len(shown)))
    np.add.at(counts, (rows[both], columns[both]), 1)
    totals = np.bincount(true, minlength=len(classes))[shown]
    return shown, 100 * counts / np.maximum(totals, 1)[:, None]


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
            images.picture(int(row_of[truth["image_id"].iloc[row]])),
            f"{classes[predicted[row]]} {probabilities[row].max():.2f}\n"
            f"is {classes[int(label[row])]} {given[row]:.2f}",
        )
        for row in worst
    ]
    return plot_grid(tiles, f"worst of {np.sum(predicted != label):,} mistakes in {len(label):,}", path)
