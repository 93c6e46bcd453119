"""Combining predictions, aligned by image id and never by position."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from pipeline.base.errors import UserError, name_some
from pipeline.config.config import PredictConfig
from pipeline.tasks.task import Task


def average(
    task: Task,
    frames: Sequence[pd.DataFrame],
    names: Sequence[str],
    folder: Path,
    config: PredictConfig,
) -> pd.DataFrame:
    """Mean of predictions of the same images, in the first frame's row order.

    `folder` is for files that the result refers to; `config` says how boxes are fused.

    Raises
    ------
    UserError : a frame with other image ids or other columns than the first; names it.
    """
    first = frames[0]
    aligned = [first]
    for frame, name in zip(frames[1:], names[1:], strict=True):
        if set(frame["image_id"]) != set(first["image_id"]) or len(frame) != len(first):
            odd = sorted(set(frame["image_id"]) ^ set(first["image_id"]))
            raise UserError(
                f"{name} and {names[0]} predict different images ({len(odd)} ids: {name_some(odd)})"
            )
        if list(frame.columns) != list(first.columns):
            raise UserError(f"{name} and {names[0]} predict different columns")
        aligned.append(frame.set_index("image_id").loc[first["image_id"]].reset_index())
    return task.average(aligned, folder, config)
