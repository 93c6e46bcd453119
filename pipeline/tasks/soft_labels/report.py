"""How far predicted shares are off, for the run's page."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from scipy.special import rel_entr

from pipeline.base.parts import Chart, Part, Series, Table, Tiles
from pipeline.tasks.showing import BINS, MISTAKES, MOST_CLASSES, tiles_of
from pipeline.tasks.task import ReportRequest

LINES = 8
"""Classes in the chart: those with the largest shares."""


def report(request: ReportRequest) -> Iterator[Part]:
    """Classes, the greatest divergences, true shares against predicted ones."""
    true, values = request.evidence("probabilities")
    assert isinstance(true, np.ndarray) and isinstance(values, np.ndarray)
    divergence = rel_entr(true, values.clip(1e-15, 1))
    yield shares_table(true, values, divergence, request.classes)
    yield mistakes(true, values, divergence.sum(axis=1), request)
    yield shares_chart(true, values, request.classes)


def shares_table(
    true: np.ndarray, values: np.ndarray, divergence: np.ndarray, classes: Sequence[str]
) -> Table:
    """Mean share, true and predicted, of each class, and its part of the divergence, the greatest first."""
    order = np.argsort(-divergence.sum(axis=0), kind="stable")[:MOST_CLASSES]
    columns = np.stack(
        [true.mean(axis=0), values.mean(axis=0), np.abs(true - values).mean(axis=0), divergence.mean(axis=0)],
        axis=1,
    )
    rows = [(classes[place], *columns[place].tolist()) for place in order]
    heads = ("class", "mean true share", "mean predicted", "mean absolute error", "part of the divergence")
    return Table(title="Classes", heads=heads, rows=rows)


def mistakes(true: np.ndarray, values: np.ndarray, divergence: np.ndarray, request: ReportRequest) -> Tiles:
    """The images whose shares diverge most from the prediction, with the classes that are furthest off."""
    worst = np.argsort(-divergence, kind="stable")[:MISTAKES].tolist()
    lines = []
    for row in worst:
        places = np.argsort(-np.abs(true - values)[row], kind="stable")[:3].tolist()
        lines.append(
            [
                f"{request.classes[place]}: predicted {values[row, place]:.3f}, is {true[row, place]:.3f}"
                for place in places
            ]
        )
    note = "The greatest Kullback-Leibler divergence of the prediction from the truth first."
    return Tiles(title="Worst mistakes", tiles=tiles_of(request, worst, lines), note=note)


def shares_chart(true: np.ndarray, values: np.ndarray, classes: Sequence[str]) -> Chart:
    """How far probabilities can be believed: their means against the means of the true shares."""
    shown = np.argsort(-true.mean(axis=0), kind="stable")[:LINES]
    series = []
    for number, place in enumerate(shown.tolist()):
        bins = np.minimum((values[:, place] * BINS).astype(int), BINS - 1)
        means = pd.DataFrame({"p": values[:, place], "share": true[:, place]}).groupby(bins).mean()
        x, y = means["p"].to_numpy(), means["share"].to_numpy()
        series.append(Series(name=str(classes[place]), x=x, y=y, color=number))
    some = f"The {len(shown)} most frequent of {len(classes):,} classes." * (len(shown) < len(classes))
    return Chart(
        title="Calibration",
        across="predicted probability",
        up="mean true share",
        series=series,
        limits=((0.0, 1.0), (0.0, 1.0)),
        diagonal=True,
        note=some,
    )
