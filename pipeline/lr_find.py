"""Learning-rate range test: raise the rate batch by batch and watch where the loss falls fastest.

Leslie N. Smith, "Cyclical Learning Rates for Training Neural Networks", arXiv 1506.01186, section 3.3; the
geometric steps, the smoothing and the stop are those that fastai made common.
"""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.errors import UserError
from pipeline.plots import save_figure

SMOOTHING = 0.95
"""Weight of the past in the averaged loss."""
BLOWN_UP = 4.0
"""Multiple of the lowest averaged loss at which there is nothing more to learn from higher rates."""
FEWEST = 8
"""Points below which a slope says nothing."""


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

    Only points up to the lowest smoothed loss count: what falls after it falls from a height that a rate too
    large has led to. The steepest point lies below the rates that diverge, so it is safe as a peak rate.

    Parameters
    ----------
    frame : what `range_test` returns.

    Raises
    ------
    UserError : the test ended too early, or the loss never fell.
    """
    loss = frame["smoothed"].to_numpy()
    if len(loss) < FEWEST:
        raise UserError(
            f"the range test ended after {len(loss)} steps: start from a lower rate or take more steps"
        )
    slope = np.gradient(loss, np.log(frame["lr"].to_numpy()))
    falling = slope[: int(loss.argmin()) + 1]
    steepest = int(falling.argmin())
    if falling[steepest] >= 0:
        raise UserError(
            "the loss fell at no learning rate of the range test: raise its upper end, and check the labels"
        )
    return float(frame["lr"].iat[steepest])


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
    if span:
        axis.set_ylim(frame["smoothed"].min() - 0.1 * span, frame["smoothed"].max() + 0.1 * span)
    axis.set_xlabel("learning rate")
    axis.set_ylabel("training loss")
    axis.set_title("learning rate range test")
    axis.grid(alpha=0.3)
    axis.legend()
    return save_figure(figure, path)
