"""Predictions frames of one probability column for each class."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch


def to_frame(ids: Sequence[str], probabilities: torch.Tensor, classes: Sequence[str]) -> pd.DataFrame:
    """A predictions frame: image_id and one float32 column per class, of probabilities (N, C)."""
    return frame_of(np.asarray(ids, dtype=object), probabilities.float().numpy(), classes)


def frame_of(ids: np.ndarray, values: np.ndarray, classes: Sequence[str]) -> pd.DataFrame:
    """The same of arrays: ids (N,) and values (N, C)."""
    frame = pd.DataFrame(values.astype("float32", copy=False), columns=list(classes))
    frame.insert(0, "image_id", ids)
    return frame.astype({"image_id": "str"})


def values_of(predictions: pd.DataFrame, classes: Sequence[str]) -> np.ndarray:
    """float64 (N, C): the probabilities of a predictions frame."""
    return predictions[list(classes)].to_numpy(dtype="float64")


def likely(predictions: pd.DataFrame, classes: Sequence[str]) -> np.ndarray:
    """The most probable class of each image, as an object array (N,) of names."""
    return np.asarray(classes, dtype=object)[predictions[list(classes)].to_numpy().argmax(axis=1)]
