"""Line charts and clouds of points as SVG: sharp at any size, in the page's colours, also in dark mode."""

import html
import math
from collections.abc import Sequence

import numpy as np

from pipeline.base.parts import Chart, Series

WIDTH, HEIGHT = 360, 230
LEFT, RIGHT, TOP, BOTTOM = 52, 10, 8, 38
MOST_POINTS = 150
"""Points of a line that can be pointed at; of more, every so many."""
COLORS = 8
"""The page's style has as many (Okabe and Ito's, which colour-blind people can tell apart)."""


def draw(chart: Chart) -> str:
    """The chart as an ``svg`` element with its legend, and a place for what is pointed at."""
    shown = [(series, *_finite(series)) for series in chart.series]
    xs = np.concatenate([np.zeros(0), *(x for _, x, _ in shown)])
    ys = np.concatenate([np.zeros(0), *(y for _, _, y in shown)])
    xs, ys = xs[np.isfinite(xs) & np.isfinite(ys)], ys[np.isfinite(xs) & np.isfinite(ys)]
    name = html.escape(chart.title)
    if not len(xs):
        return f'<p class="soft">{name}: there is nothing to draw.</p>'
    across, up = chart.limits or (_span(xs, 0.03), _span(ys, 0.06))
    whole = bool((xs == xs.round()).all()) and chart.limits is None
    parts = [_axes(chart, across, up, whole)]
    if chart.diagonal:
        low, high = max(across[0], up[0]), min(across[1], up[1])
        ends = [(_x(value, across), _y(value, up)) for value in (low, high)]
        parts.append(f'<path class="diagonal" d="{_path(ends)}"/>')
    parts += [_series(series, x, y, across, up) for series, x, y in shown]
    svg = (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{name}">'
        f"{''.join(parts)}</svg>"
    )
    return f'<div class="plot">{svg}<p class="told" role="status"></p>{_legend(chart.series)}</div>'


def _finite(series: Series) -> tuple[np.ndarray, np.ndarray]:
    x, y = (np.asarray(values, dtype="float64") for values in (series.x, series.y))
    if series.style == "points" or len(x) <= MOST_POINTS:
        return x, y
    chosen = np.unique(np.linspace(0, len(x) - 1, MOST_POINTS).round().astype(int))
    return x[chosen], y[chosen]


def _span(values: np.ndarray, room: float) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    more = (high - low) * room or abs(high) * 0.05 or 0.5
    return low - more, high + more


def ticks(low: float, high: float, count: int, whole: bool = False) -> list[float]:
    """Round numbers from `low` to `high`, about `count` of them; whole ones where that is asked for."""
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    step = max(1.0, step) if whole else step
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def _x(value: float, span: tuple[float, float]) -> float:
    return LEFT + (value - span[0]) / (span[1] - span[0]) * (WIDTH - LEFT - RIGHT)


def _y(value: float, span: tuple[float, float]) -> float:
    return HEIGHT - BOTTOM - (value - span[0]) / (span[1] - span[0]) * (HEIGHT - TOP - BOTTOM)


def _axes(chart: Chart, across: tuple[float, float], up: tuple[float, float], whole: bool) -> str:
    right, below, middle = WIDTH - RIGHT, HEIGHT - BOTTOM, (TOP + HEIGHT - BOTTOM) / 2
    found = []
    for value in ticks(*up, 5):
        at = _y(value, up)
        found.append(f'<path class="grid" d="M{LEFT} {at:.1f}H{right}"/>')
        found.append(f'<text x="{LEFT - 5}" y="{at + 4:.1f}" text-anchor="end">{value:.6g}</text>')
    for value in ticks(*across, 6, whole):
        at = _x(value, across)
        found.append(f'<path class="grid" d="M{at:.1f} {TOP}V{below}"/>')
        found.append(f'<text x="{at:.1f}" y="{below + 14}" text-anchor="middle">{value:.6g}</text>')
    found.append(
        f'<text x="{(LEFT + right) / 2}" y="{HEIGHT - 5}" text-anchor="middle">{html.escape(chart.across)}'
        f'</text><text x="11" y="{middle}" text-anchor="middle" transform="rotate(-90 11 {middle})">'
        f"{html.escape(chart.up)}</text>"
    )
    return "".join(found)


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _series(
    series: Series, x: np.ndarray, y: np.ndarray, across: tuple[float, float], up: tuple[float, float]
) -> str:
    kind = f"c{series.color % COLORS}"
    good = np.isfinite(x) & np.isfinite(y)
    places = [(_x(a, across), _y(b, up)) for a, b in zip(x[good], y[good], strict=True)]
    lines = ""
    if series.style != "points":
        runs = np.split(np.arange(len(x)), np.flatnonzero(~good))
        pieces = [[place for place in run.tolist() if good[place]] for run in runs]
        row_of = np.cumsum(good) - 1
        d = "".join(_path([places[row_of[place]] for place in piece]) for piece in pieces if piece)
        lines = f'<path class="line {series.style}" d="{d}"/>'
    told = html.escape(series.name)
    dots = "".join(
        f'<circle cx="{a:.1f}" cy="{b:.1f}" r="{3 if series.style == "points" else 2}">'
        f"<title>{told}: {value_x:.5g}, {value_y:.5g}</title></circle>"
        for (a, b), value_x, value_y in zip(places, x[good], y[good], strict=True)
    )
    return f'<g class="{kind}" data-name="{told}">{lines}{dots}</g>'


def _legend(series: Sequence[Series]) -> str:
    """A button for each name, which hides and shows it."""
    if len(series) < 2:
        return ""
    buttons = "".join(
        f'<button type="button" class="c{one.color % COLORS}" aria-pressed="true" '
        f'data-name="{html.escape(one.name)}"><span class="key {one.style}"></span>{html.escape(one.name)}'
        "</button>"
        for one in series
    )
    return f'<p class="legend">{buttons}</p>'
