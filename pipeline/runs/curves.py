"""The curves of a run's folds."""

import pandas as pd

from pipeline.base.parts import Chart, Charts, Series

TRAINED, VALID = "learnt from", "validation"
"""What the losses of a fold are of."""


def curves(histories: dict[str, pd.DataFrame], metric: str) -> Charts:
    """Losses of training and of validation, validation score and learning rate by epoch, one colour for each
    fold.

    Parameters
    ----------
    histories : history.csv of each fold, by the fold's name.
    """
    losses = []
    for color, (name, history) in enumerate(histories.items()):
        x, loss = history["epoch"].to_numpy(), history["loss"].to_numpy()
        losses.append(Series(name=f"{name}, {TRAINED}", x=x, y=loss, color=color, style="dashed"))
        if "valid_loss" in history:
            valid = history["valid_loss"].to_numpy()
            losses.append(Series(name=f"{name}, {VALID}", x=x, y=valid, color=color))
    charts = [Chart(title="Loss", across="epoch", up="loss", series=losses)]
    for column, title in (("score", f"Validation {metric}"), ("lr", "Learning rate")):
        series = [
            Series(name=name, x=history["epoch"].to_numpy(), y=history[column].to_numpy(), color=color)
            for color, (name, history) in enumerate(histories.items())
        ]
        charts.append(Chart(title=title, across="epoch", up=title.lower(), series=series))
    note = (
        "Losses of training are means over an epoch of augmented images; those of validation are measured "
        "after it on images that are not augmented, so that they may well be lower."
    )
    return Charts(title="Training", charts=charts, note=note)
