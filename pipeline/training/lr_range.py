"""Learning-rate range test: raise the rate batch by batch and watch where the loss falls fastest.

Leslie N. Smith, "Cyclical Learning Rates for Training Neural Networks", arXiv 1506.01186, section 3.3; the
geometric steps, the smoothing and the stop are those that fastai made common.
"""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view

from pipeline.base.errors import UserError
from pipeline.base.figures import save_figure

SMOOTHING = 0.95
"""Weight of the past in the averaged loss."""
BLOWN_UP = 4.0
"""Multiple of the lowest averaged loss at which there is nothing more to learn from higher rates."""
FEWEST = 8
"""Points below which a slope says nothing."""
SETTLING = 20
"""First points that are left out: the average of so few losses moves with the noise of each batch."""
WINDOW = 12
"""Points through which one slope is fitted; of two neighbours, the noise would be all there is to see."""


def range_test(
    step: Callable[[float], float], low: float = 1e-6, high: float = 10.0, steps: int = 100
) -> pd.DataFrame:
    """Train one batch at each of `steps` learning rates from `low` to `high`, equally far apart in ratio.

    Ends early after the first loss that is not finite or whose average exceeds four times the lowest one.

    Parameters
    ----------
    step : trains one batch at the learning rate it is given and returns the loss before the step.

    Returns
    -------
    DataFrame with lr, loss, and smoothed: the exponential average of the loss, with its bias towards the
    initial zero corrected as in Adam (arXiv 1412.6980). All finite; no row for a loss that is not.

    Raises
    ------
    UserError : not 0 < low < high, or fewer than two steps.
    """
    if not 0 < low < high:
        raise UserError(f"a range of learning rates must rise from above 0, not go from {low} to {high}")
    if steps < 2:
        raise UserError(f"a range test needs at least 2 steps, not {steps}")
    rows: list[tuple[float, float, float]] = []
    average, lowest = 0.0, math.inf
    for number, lr in enumerate(np.geomspace(low, high, steps).tolist(), start=1):
        loss = float(step(lr))
        if not math.isfinite(loss):
            break
        average = SMOOTHING * average + (1 - SMOOTHING) * loss
        smoothed = average / (1 - SMOOTHING**number)
        rows.append((lr, loss, smoothed))
        if smoothed > BLOWN_UP * lowest:
            break
        lowest = min(lowest, smoothed)
    return pd.DataFrame(rows, columns=["lr", "loss", "smoothed"], dtype="float64")


def suggest(frame: pd.DataFrame) -> float:
    """The learning rate at which the smoothed loss falls fastest per factor of the rate.

    The slope is that of a least-squares line through twelve points, and the rate the one in their middle. The
    first twenty points are left out, or a quarter of fewer than eighty; no line spans more than half of them.
    Only points up to the lowest smoothed loss count: what falls after it falls from a height that a rate too
    large has led to. The steepest point lies below the rates that diverge, so it is safe as a peak rate.

    Parameters
    ----------
    frame : what `range_test` returns.

    Raises
    ------
    UserError : the test ended too early, or the loss never fell.
    """
    loss, rate = frame["smoothed"].to_numpy(), np.log(frame["lr"].to_numpy())
    if len(loss) < FEWEST:
        raise UserError(
            f"the range test ended after {len(loss)} steps: start from a lower rate or take more steps"
        )
    first = min(SETTLING, len(loss) // 4)
    last = first + int(loss[first:].argmin())
    window = min(WINDOW, len(loss) // 2, last - first + 1)
    slope, middle = _slopes(rate[first : last + 1], loss[first : last + 1], window)
    steepest = int(slope.argmin())
    if slope[steepest] >= 0:
        raise UserError(
            "the loss fell at no learning rate of the range test: raise its upper end, and check the labels"
        )
    return math.exp(middle[steepest])


def _slopes(rate: np.ndarray, loss: np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray]:
    """Slope and middle of the least-squares line through each `window` neighbours; one point is level."""
    rates, losses = sliding_window_view(rate, window), sliding_window_view(loss, window)
    middle = rates.mean(axis=1)
    offsets = rates - middle[:, None]
    spread = (offsets**2).sum(axis=1)
    return (offsets * losses).sum(axis=1) / np.where(spread > 0, spread, 1), middle


def plot_range_test(frame: pd.DataFrame, suggestion: float | None, path: Path) -> Path:
    """Loss by learning rate, as measured and smoothed, with the suggestion marked; writes one PNG.

    Parameters
    ----------
    frame : what `range_test` returns.
    suggestion : what `suggest` returns, or None where it found nothing.
    """
    from matplotlib.figure import Figure  # here: most stages draw nothing, and need not carry it

    figure = Figure(figsize=(7, 4))
    axis = figure.subplots()
    axis.plot(frame["lr"], frame["loss"], color="tab:blue", alpha=0.3, label="each batch")
    axis.plot(frame["lr"], frame["smoothed"], color="tab:blue", label="smoothed")
    if suggestion is not None:
        axis.axvline(suggestion, color="tab:red", linestyle="--", label=f"steepest at {suggestion:.2g}")
    axis.set_xscale("log")
    # A last loss before the stop may be huge; the fall would be a flat line beside it.
    span = frame["smoothed"].max() - frame["smoothed"].min()
    if span > 0:  # it is NaN where the first loss was not finite already
        axis.set_ylim(frame["smoothed"].min() - 0.1 * span, frame["smoothed"].max() + 0.1 * span)
    axis.set_xlabel("learning rate")
    axis.set_ylabel("training loss")
    axis.set_title("learning rate range test")
    axis.grid(alpha=0.3)
    axis.legend()
    return save_figure(figure, path)
