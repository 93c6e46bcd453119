"""What a classifier gets right and wrong, for the run's page."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from pipeline.base.parts import Matrix, Part, Table, Tile, Tiles
from pipeline.frame.top import Top
from pipeline.tasks.showing import MISTAKES, calibration, class_table, picture_of
from pipeline.tasks.task import ReportRequest

MOST = 30
"""Classes up to which the confusion matrix is shown; of more, the pairs say it all."""
PAIRS = 30
"""Pairs of classes that are shown."""


def report(request: ReportRequest) -> Iterator[Part]:
    """Classes, confused pairs, the confusion matrix, the worst mistakes, calibration."""
    truth, values = request.evidence("probabilities")
    assert isinstance(truth, np.ndarray) and isinstance(values, np.ndarray | Top)
    classes, (found, largest, given) = list(request.classes), predicted(truth, values)
    yield class_table(truth, found, classes)
    yield confused_pairs(truth, found, classes)
    if len(classes) <= MOST:
        yield confusion(truth, found, classes)
    yield mistakes(truth, Predicted(found, largest, given), request)
    yield calibration(largest, truth == found, "probability of the predicted class")


class Predicted(NamedTuple):
    """Of each image (N,) the predicted class, its probability, and that of the true class."""

    found: np.ndarray
    largest: np.ndarray
    given: np.ndarray


def predicted(truth: np.ndarray, values: np.ndarray | Top) -> Predicted:
    """What probabilities say; `truth` are class indices (N,)."""
    if isinstance(values, Top):
        found, largest = values.codes[:, 0].astype("int64"), values.values[:, 0].astype("float64")
        return Predicted(found, largest, values.given(truth))
    rows, found = np.arange(len(truth)), values.argmax(axis=1)
    return Predicted(found, values[rows, found], values[rows, truth])


def confused_pairs(truth: np.ndarray, found: np.ndarray, classes: Sequence[str]) -> Table:
    """The most frequent pairs of a true class and another one that was predicted.

    Parameters
    ----------
    truth, found : int (N,) class indices.
    """
    wrong = truth != found
    pairs, times = np.unique(np.stack([truth[wrong], found[wrong]], axis=1), axis=0, return_counts=True)
    totals = np.bincount(truth, minlength=len(classes))
    order = np.argsort(-times, kind="stable")[:PAIRS].tolist()
    rows = [
        (classes[true], classes[other], int(times[place]), f"{100 * times[place] / totals[true]:.1f} %")
        for place in order
        for true, other in [pairs[place].tolist()]
    ]
    note = f"{int(wrong.sum()):,} mistakes in {len(truth):,} images, {len(times):,} different pairs."
    heads = ("is", "predicted as", "images", "share of the true class")
    return Table(title="Most confused pairs", heads=heads, rows=rows, note=note)


def confusion(truth: np.ndarray, found: np.ndarray, classes: Sequence[str]) -> Matrix:
    """Share of each true class (row) predicted as each class (column), in percent.

    Parameters
    ----------
    truth, found : int (N,) class indices.
    """
    number = len(classes)
    table = np.bincount(truth * number + found, minlength=number * number).reshape(number, number)
    share = 100 * table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    note = "Rows are the truth, columns the prediction; percent of the true class."
    return Matrix(title="Confusion", names=list(classes), values=share, note=note)


def mistakes(truth: np.ndarray, said: Predicted, request: ReportRequest) -> Tiles:
    """The images whose true class got the least probability, with where the network looked for the class that
    it predicted."""
    classes, found, given = list(request.classes), said.found, said.given
    wrong = np.flatnonzero(found != truth)
    worst = wrong[np.argsort(given[wrong], kind="stable")][:MISTAKES]
    ids = request.truth["image_id"].iloc[worst].tolist()
    heat = request.saliency(ids, found[worst].tolist())
    tiles = [
        Tile(
            pictures=[picture_of(request, image_id), *([] if looked is None else [looked])],
            title=str(image_id),
            lines=(
                f"predicted {classes[found[row]]} {said.largest[row]:.3f}",
                f"is {classes[truth[row]]} {given[row]:.3f}",
            ),
        )
        for row, image_id, looked in zip(worst.tolist(), ids, heat, strict=True)
    ]
    asked = any(looked is not None for looked in heat)
    cam = " Beside each image: what in it spoke for the predicted class (Grad-CAM), yellow for most." * asked
    return Tiles(
        title="Worst mistakes",
        tiles=tiles,
        note=f"{len(tiles):,} of {len(wrong):,} mistakes in {len(truth):,} images, the least probability of "
        f"the true class first.{cam}",
    )
