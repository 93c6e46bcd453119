"""The curves of a run's folds."""

from pathlib import Path

import pandas as pd

from pipeline.base.figures import new_figure, save_figure


def plot_curves(histories: dict[str, pd.DataFrame], metric: str, path: Path) -> Path:
    """Loss, validation score and learning rate by epoch, one line for each fold.

    Parameters
    ----------
    histories : history.csv of each fold, by the fold's name.
    """
    figure = new_figure((12, 3.4))
    axes = figure.subplots(1, 3)
    for axis, column, title in zip(
        axes, ("loss", "score", "lr"), ("training loss", f"validation {metric}", "learning rate"), strict=True
    ):
        for name, history in histories.items():
            axis.plot(history["epoch"], history[column], marker=".", label=name)
        axis.set_title(title)
        axis.set_xlabel("epoch")
        axis.grid(alpha=0.3)
    axes[0].legend()
    return save_figure(figure, path)
