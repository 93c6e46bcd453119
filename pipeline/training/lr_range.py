"""Learning-rate range test: raise the rate batch by batch and watch where the loss falls and rises again.

Leslie N. Smith, "Cyclical Learning Rates for Training Neural Networks", arXiv 1506.01186, section 3.3. The
curve is fitted through the points on both sides of each (LOESS, Cleveland 1979), so that it does not trail
them: an average of the past is a decade of rates late, and so is what is read off it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.base.errors import UserError
from pipeline.base.figures import save_figure

SMOOTHING = 0.9
"""Weight of the past in the average that ends the test; nothing else is read off it."""
BLOWN_UP = 4.0
"""Multiple of the lowest average at which there is nothing more to learn from higher rates."""
FEWEST = 8
"""Points below which a curve says nothing."""
WIDTH = 0.04
"""Standard deviation of the weights of neighbours in a fit, as a share of all points."""
VALLEY = 0.1
"""Share of the fall of the loss, above its lowest point, up to which a rate counts as good."""

MARGIN = 4.0
"""How far below the highest good rate the suggestion stays."""


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """Rates at which the loss is near its lowest.

    Attributes
    ----------
    lr : where it is lowest, and at most a quarter of `high`, for a loss takes some steps to blow up; where it
        never rises again, the geometric middle of the others.
    low, high : the first and the last of them.
    """

    lr: float
    low: float
    high: float


def range_test(
    step: Callable[[float], float], low: float = 1e-6, high: float = 10.0, steps: int = 100
) -> pd.DataFrame:
    """Train one batch at each of `steps` learning rates from `low` to `high`, equally far apart in ratio.

    Ends early at the first loss that is not finite, or after the average exceeds four times the lowest one.

    Parameters
    ----------
    step : trains one batch at the learning rate it is given and returns the loss before the step.

    Returns
    -------
    DataFrame with lr, loss, and fitted: see `fit`. All finite; no row for a loss that is not.

    Raises
    ------
    UserError : not 0 < low < high, or fewer than two steps.
    """
    if not 0 < low < high:
        raise UserError(f"a range of learning rates must rise from above 0, not go from {low} to {high}")
    if steps < 2:
        raise UserError(f"a range test needs at least 2 steps, not {steps}")
    rows: list[tuple[float, float]] = []
    average, lowest = 0.0, math.inf
    for number, lr in enumerate(np.geomspace(low, high, steps).tolist(), start=1):
        loss = float(step(lr))
        if not math.isfinite(loss):
            break
        rows.append((lr, loss))
        average = SMOOTHING * average + (1 - SMOOTHING) * loss
        corrected = average / (1 - SMOOTHING**number)  # of its bias towards the initial zero, as in Adam
        if corrected > BLOWN_UP * lowest:
            break
        lowest = min(lowest, corrected)
    frame = pd.DataFrame(rows, columns=["lr", "loss"], dtype="float64")
    return frame.assign(fitted=fit(frame["loss"].to_numpy()))


def fit(loss: np.ndarray) -> np.ndarray:
    """The curve through points (N,) that are equally far apart: at each the value of the line that fits its
    neighbours best, weighted by a Gaussian of their distance.

    A loss above where it began says that the rate is too large; how much above says nothing, and is cut off.
    """
    if not len(loss):
        return loss
    begin = float(np.median(loss[: max(3, len(loss) // 10)]))
    values, places = np.minimum(loss, begin), np.arange(len(loss))
    away = (places[None, :] - places[:, None]).astype("float64")
    weight = np.exp(-0.5 * (away / max(1.0, WIDTH * len(loss))) ** 2)
    total, first, second = weight.sum(1), (weight * away).sum(1), (weight * away**2).sum(1)
    level, tilt = weight @ values, (weight * away) @ values
    spread = total * second - first**2
    return np.where(spread > 0, (second * level - first * tilt) / np.where(spread > 0, spread, 1), values)


def suggest(frame: pd.DataFrame) -> Suggestion:
    """The learning rates around the lowest point of the fitted loss, up to a tenth of its fall above it.

    Parameters
    ----------
    frame : what `range_test` returns.

    Raises
    ------
    UserError : the test ended too early, or the loss never fell.
    """
    curve, rate = frame["fitted"].to_numpy(), frame["lr"].to_numpy()
    if len(curve) < FEWEST:
        raise UserError(
            f"the range test ended after {len(curve)} steps: start from a lower rate or take more steps"
        )
    lowest = int(curve.argmin())
    fall = float(curve[: lowest + 1].max() - curve[lowest])
    if fall <= 1e-9 * abs(float(curve[0])):
        raise UserError(
            "the loss fell at no learning rate of the range test: raise its upper end, and check the labels"
        )
    outside = np.flatnonzero(curve > curve[lowest] + VALLEY * fall)
    before, after = outside[outside < lowest], outside[outside > lowest]
    low = float(rate[before[-1] + 1 if len(before) else 0])
    high = float(rate[after[0] - 1 if len(after) else -1])
    lr = min(float(rate[lowest]), high / MARGIN) if len(after) else math.sqrt(low * high)
    return Suggestion(lr=lr, low=low, high=high)


def plot_range_test(frame: pd.DataFrame, suggestion: Suggestion | None, path: Path) -> Path:
    """All losses by learning rate, the curve through them, and the suggestion; writes one PNG.

    Parameters
    ----------
    frame : what `range_test` returns.
    suggestion : what `suggest` returns, or None where it found nothing.
    """
    from matplotlib.figure import Figure  # here: most stages draw nothing, and need not carry it

    figure = Figure(figsize=(7, 4))
    axis = figure.subplots()
    axis.scatter(frame["lr"], frame["loss"], s=9, color="tab:gray", label="each batch")
    axis.plot(frame["lr"], frame["fitted"], color="tab:blue", label="curve through them")
    if suggestion is not None:
        told = f"{suggestion.low:.2g} to {suggestion.high:.2g}"
        axis.axvspan(suggestion.low, suggestion.high, color="tab:orange", alpha=0.2, label=told)
        axis.axvline(
            suggestion.lr, color="tab:orange", linestyle="--", label=f"suggested: {suggestion.lr:.2g}"
        )
    axis.set_xscale("log")
    if len(frame) and frame["loss"].min() > 0:  # what blew up is drawn, too, and leaves room for the fall
        axis.set_yscale("log")
    axis.set_xlabel("learning rate")
    axis.set_ylabel("training loss")
    axis.set_title("learning rate range test")
    axis.grid(alpha=0.3)
    axis.legend()
    return save_figure(figure, path)
