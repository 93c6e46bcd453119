"""How far predicted values are off, for the run's page."""

from collections.abc import Iterator, Sequence

import numpy as np

from pipeline.base.parts import Chart, Charts, Part, Series, Table, Tiles
from pipeline.tasks.showing import MISTAKES, tiles_of
from pipeline.tasks.task import ReportRequest

MOST = 6
"""Targets that have a chart."""
POINTS = 1000
"""Images in a chart, evenly chosen."""


def report(request: ReportRequest, names: Sequence[str]) -> Iterator[Part]:
    """Targets, predicted against true values, and the images that are furthest off."""
    true, values = request.evidence("values")
    assert isinstance(true, np.ndarray) and isinstance(values, np.ndarray)
    off = values[:, : true.shape[1]] - true
    yield targets_table(true, off, names)
    charts = [
        _chart(true[:, place], values[:, place], names[place]) for place in range(min(len(names), MOST))
    ]
    yield Charts(title="Predicted against true", charts=charts)
    worst = np.argsort(-np.abs(off).max(axis=1), kind="stable")[:MISTAKES].tolist()
    lines = []
    for row in worst:
        places = np.argsort(-np.abs(off[row]), kind="stable")[:3].tolist()
        lines.append(
            [
                f"{names[place]}: predicted {values[row, place]:.4g}, is {true[row, place]:.4g}"
                for place in places
            ]
        )
    yield Tiles(title="Worst mistakes", tiles=tiles_of(request, worst, lines), note="Furthest off first.")


def targets_table(true: np.ndarray, off: np.ndarray, names: Sequence[str]) -> Table:
    """Errors of each target.

    Parameters
    ----------
    true, off : (N, K) values, and how much too large the predictions are.
    """
    spread = ((true - true.mean(axis=0)) ** 2).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        r2 = np.where(spread > 0, 1 - (off**2).sum(axis=0) / spread, np.nan)
    columns = np.stack(
        [
            np.abs(off).mean(axis=0),
            np.sqrt((off**2).mean(axis=0)),
            np.median(np.abs(off), axis=0),
            off.mean(axis=0),
            r2,
        ],
        axis=1,
    )
    rows = [(name, *columns[place].tolist()) for place, name in enumerate(names)]
    heads = ("target", "mean absolute error", "RMSE", "half within", "mean error", "R²")
    return Table(title="Targets", heads=heads, rows=rows)


def _chart(true: np.ndarray, values: np.ndarray, name: str) -> Chart:
    shown = np.unique(np.linspace(0, len(true) - 1, min(len(true), POINTS)).round().astype(int))
    series = Series(name=name, x=true[shown], y=values[shown], style="points")
    return Chart(title=name, across="true", up="predicted", series=[series], diagonal=True)
