"""Predictions frames of one number for each class or target: ``image_id`` and a float32 column for each; of
very many classes, the most probable ones alone (`pipeline.frame.top`)."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pipeline.base.errors import UserError
from pipeline.frame.top import is_top, mean_of_tops, read_top, top_frame


def frame_of(ids: Sequence[str] | np.ndarray, values: np.ndarray, columns: Sequence[str]) -> pd.DataFrame:
    """A predictions frame of ids (N,) and values (N, C)."""
    frame = pd.DataFrame(values.astype("float32", copy=False), columns=list(columns))
    frame.insert(0, "image_id", np.asarray(ids, dtype=object))
    return frame.astype({"image_id": "str"})


def values_of(predictions: pd.DataFrame, columns: Sequence[str]) -> np.ndarray:
    """float64 (N, C): the values of a predictions frame. Raises UserError where that is very large."""
    if is_top(predictions):
        try:
            return read_top(predictions).dense()
        except ValueError as error:
            raise UserError(f"the predictions are not laid out in columns: {error}") from error
    return predictions[list(columns)].to_numpy(dtype="float64")


def mean_of(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Arithmetic mean of frames with the same ids in the same order."""
    if is_top(frames[0]):
        mean = mean_of_tops([read_top(frame) for frame in frames])
        return top_frame(frames[0]["image_id"].to_numpy(), mean)
    values = [frame.drop(columns="image_id").to_numpy() for frame in frames]
    mean = np.stack(values).mean(axis=0, dtype=np.float64)
    return frame_of(frames[0]["image_id"].to_numpy(), mean, list(frames[0].columns[1:]))


def top_names(predictions: pd.DataFrame, columns: Sequence[str], k: int) -> list[list[str]]:
    """Of each row, the names of its `k` largest values, the largest first; of equal ones, the first column
    comes first, as the metrics count."""
    if is_top(predictions):
        return np.asarray(columns, dtype=object)[read_top(predictions).codes[:, :k]].tolist()
    order = np.argsort(-values_of(predictions, columns), axis=1, kind="stable")[:, :k]
    return np.asarray(columns, dtype=object)[order].tolist()


def likely(predictions: pd.DataFrame, columns: Sequence[str]) -> np.ndarray:
    """The name of each row's largest value, as an object array (N,); of equal ones the first column."""
    if is_top(predictions):
        return np.asarray(columns, dtype=object)[predictions["top_1"].to_numpy()]
    return np.asarray(columns, dtype=object)[predictions[list(columns)].to_numpy().argmax(axis=1)]
