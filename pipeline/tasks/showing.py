"""What the reports of several tasks show alike: classes, mistakes, how far probabilities can be believed."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pipeline.base.parts import Chart, Series, Table, Tile
from pipeline.tasks.task import ReportRequest

BINS = 10
"""Of predicted probabilities, each with the share that was right."""
MISTAKES = 24
"""Images that are shown."""
MOST_CLASSES = 2000
"""Rows of a table of classes: those with the lowest scores."""


def class_table(truth: np.ndarray, found: np.ndarray, names: Sequence[str], note: str = "") -> Table:
    """Precision, recall, F1 and support of each class, the lowest F1 first.

    Parameters
    ----------
    truth, found : bool (N, C), or class indices int (N,).
    """
    right, chosen, support = counts(truth, found, len(names))
    rows = per_class(right, chosen, support)
    order = np.argsort(np.where(support > 0, rows[:, 2], 2), kind="stable")[:MOST_CLASSES]
    lines = [
        (names[place], *rows[place].tolist(), int(support[place]), int(chosen[place])) for place in order
    ]
    if len(names) > MOST_CLASSES:
        note = f"{note} {MOST_CLASSES:,} of {len(names):,} classes, those with the lowest F1.".strip()
    heads = ("class", "precision", "recall", "F1", "support", "predicted")
    return Table(title="Classes", heads=heads, rows=lines, note=note)


def counts(truth: np.ndarray, found: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """int64 (C,) each: rightly found, found, and there, of each class; arguments as `class_table`'s."""
    if truth.ndim == 1:
        right = np.bincount(truth[truth == found], minlength=classes)
        return right, np.bincount(found, minlength=classes), np.bincount(truth, minlength=classes)
    truth, found = truth.astype(bool), found.astype(bool)
    return (truth & found).sum(axis=0), found.sum(axis=0), truth.sum(axis=0)


def per_class(right: np.ndarray, chosen: np.ndarray, support: np.ndarray) -> np.ndarray:
    """float64 (C, 3): precision, recall and F1; NaN where there is nothing to divide by."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.stack([right / chosen, right / support, 2 * right / (chosen + support)], axis=1)


def calibration(probabilities: np.ndarray, right: np.ndarray, across: str) -> Chart:
    """How far probabilities can be believed: the share that was right of those in each tenth.

    Parameters
    ----------
    probabilities, right : (N,), 0 to 1.
    across : what the probabilities are of.
    """
    bins = np.minimum((probabilities * BINS).astype(int), BINS - 1)
    groups = pd.DataFrame({"p": probabilities, "right": right.astype("float64")}).groupby(bins)
    means, sizes = groups.mean(), np.asarray(groups.size())
    gap = float(((means["p"] - means["right"]).abs().to_numpy() * sizes).sum() / max(1, sizes.sum()))
    series = Series(name="share that is right", x=means["p"].to_numpy(), y=means["right"].to_numpy())
    return Chart(
        title="Calibration",
        across=across,
        up="share that is right",
        series=[series],
        limits=((0.0, 1.0), (0.0, 1.0)),
        diagonal=True,
        note=f"Expected calibration error {gap:.3f}: below the dashed line probabilities are too high.",
    )


def picture_of(request: ReportRequest, image_id: object) -> np.ndarray:
    """A validated image, uint8 (H, W, 3)."""
    rows = np.flatnonzero(request.images.frame["image_id"].to_numpy() == image_id)
    return request.images.picture(int(rows[0]))


def tiles_of(request: ReportRequest, rows: Sequence[int], lines: Sequence[Sequence[str]]) -> list[Tile]:
    """A tile for each of these rows of the truth, with what is said of it."""
    ids = request.truth["image_id"].iloc[list(rows)].tolist()
    return [
        Tile(pictures=[picture_of(request, image_id)], title=str(image_id), lines=said)
        for image_id, said in zip(ids, lines, strict=True)
    ]
