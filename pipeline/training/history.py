"""What each epoch of a fold's training gave, and what follows from it: history.csv."""

import math
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path

import pandas as pd

from pipeline.base.errors import UserError
from pipeline.base.files import atomic_path
from pipeline.config.groups import TrainConfig
from pipeline.metrics.metric import Metric

HISTORY = "history.csv"
"""In a fold's folder."""


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One row of history.csv.

    Attributes
    ----------
    score : the validation metric.
    valid_loss : the mean loss of validation images, none of them augmented; NaN in a history that was begun
        before it was measured.
    """

    epoch: int
    loss: float
    lr: float
    score: float
    images_per_second: float
    seconds: float
    valid_loss: float = math.nan


def best_epoch(history: Sequence[Epoch], metric: Metric) -> int:
    """Number of the first epoch with the best score; of the first one where none has a score."""
    best = history[0]
    for row in history[1:]:
        if metric.better(row.score, best.score):
            best = row
    return best.epoch


def has_no_patience(history: Sequence[Epoch], config: TrainConfig, metric: Metric) -> bool:
    """Whether there was no better score for `patience` epochs."""
    if config.patience is None or not history:
        return False
    return len(history) - best_epoch(history, metric) >= config.patience


def save_history(history: Sequence[Epoch], folder: Path) -> None:
    """Write history.csv, atomically."""
    with atomic_path(folder / HISTORY) as temporary:
        pd.DataFrame([vars(row) for row in history]).to_csv(temporary, index=False)


def read_history(folder: Path) -> list[Epoch]:
    """Inverse of `save_history`. Raises UserError where the file is missing or damaged."""
    path = folder / HISTORY
    try:
        table = pd.read_csv(path)
        known = [one.name for one in fields(Epoch) if one.default is MISSING or one.name in table]
        rows = table[known].to_dict("records")
        if not rows:
            raise ValueError("no epoch")
        return [Epoch(**{str(name): value for name, value in row.items()}) for row in rows]
    except (OSError, ValueError, KeyError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{path} cannot be read ({reason}): delete it and run again") from error
