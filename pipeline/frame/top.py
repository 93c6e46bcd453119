"""Predictions of very many classes: of each row the most probable ones, and what is left for each other.

A probability for each of 15,000 classes and 100,000 rows would be 6 GB; the hundred largest of each row are
80 MB. Such a frame has ``image_id``, ``classes`` (how many there are), ``top_1`` to ``top_K`` (int32, places
in the list of classes, the most probable first) and ``p_1`` to ``p_K`` (float32).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

MOST_DENSE = 500
"""Classes up to which a predictions frame has a column for each."""
KEPT = 100
"""Classes that are kept of each row where there are more."""
CELLS = 20_000_000
"""Probabilities that are laid out at a time, 160 MB in float64."""

ROUNDING = 2.0**-24
"""What float32 cannot tell from a sum of 1."""


@dataclass(frozen=True)
class Top:
    """The most probable classes of some rows.

    Attributes
    ----------
    codes : int32 (N, K), places in the list of classes, the most probable first.
    values : float32 (N, K), their probabilities.
    classes : how many there are; each of the others has an equal share of what is left to 1.
    """

    codes: np.ndarray
    values: np.ndarray
    classes: int

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, rows: np.ndarray) -> "Top":
        """Some of the rows, by number."""
        return Top(self.codes[rows], self.values[rows], self.classes)

    @property
    def rest(self) -> np.ndarray:
        """float64 (N,): the probability of each class that is not kept."""
        left = 1 - self.values.sum(axis=1, dtype="float64")
        share = left.clip(ROUNDING) / max(1, self.classes - self.codes.shape[1])
        return np.minimum(share, self.values[:, -1])

    def given(self, truth: np.ndarray) -> np.ndarray:
        """float64 (N,): the probability of each row's true class, int (N,)."""
        hit = self.codes == truth[:, None]
        return np.where(hit.any(axis=1), (self.values * hit).sum(axis=1, dtype="float64"), self.rest)

    def rank(self, truth: np.ndarray) -> np.ndarray:
        """int64 (N,): the place of each row's true class, from 1; one beyond those kept where it is not."""
        hit = self.codes == truth[:, None]
        return np.where(hit.any(axis=1), hit.argmax(axis=1), self.codes.shape[1]) + 1

    def dense(self) -> np.ndarray:
        """float64 (N, classes). Raises ValueError where that is very large."""
        if len(self) * self.classes > 5 * CELLS:
            raise ValueError(
                f"it needs the probability of each of {self.classes:,} classes for each of {len(self):,} "
                f"rows, and {self.codes.shape[1]} are kept of each row: take log_loss, map_at, top_k_error "
                "or a metric of decisions"
            )
        laid = np.repeat(self.rest[:, None], self.classes, axis=1)
        np.put_along_axis(laid, self.codes.astype("int64"), self.values.astype("float64"), axis=1)
        return laid


def top_of(values: np.ndarray) -> Top:
    """The most probable of more than `KEPT` classes, of dense rows (N, C); of equal ones the first."""
    codes = np.argpartition(-values, KEPT - 1, axis=1)[:, :KEPT]
    return ordered(codes, np.take_along_axis(values, codes, axis=1), values.shape[1])


def ordered(codes: np.ndarray, values: np.ndarray, classes: int) -> Top:
    """Kept classes in any order (N, K) as a `Top`."""
    order = np.lexsort((codes, -values), axis=1)
    return Top(
        np.take_along_axis(codes, order, axis=1).astype("int32"),
        np.take_along_axis(values, order, axis=1).astype("float32"),
        classes,
    )


def is_top(predictions: pd.DataFrame) -> bool:
    """Whether a predictions frame has the most probable classes alone."""
    return {"classes", "top_1", f"top_{KEPT}", "p_1", f"p_{KEPT}"} <= set(predictions.columns)


def top_frame(ids: Sequence[str] | np.ndarray, top: Top) -> pd.DataFrame:
    """A predictions frame."""
    numbers = range(1, top.codes.shape[1] + 1)
    parts = [
        pd.DataFrame({"image_id": np.asarray(ids, dtype=object)}).astype({"image_id": "str"}),
        pd.DataFrame({"classes": np.full(len(top), top.classes, dtype="int32")}),
        pd.DataFrame(top.codes, columns=[f"top_{number}" for number in numbers]),
        pd.DataFrame(top.values, columns=[f"p_{number}" for number in numbers]),
    ]
    return pd.concat(parts, axis=1)


def read_top(predictions: pd.DataFrame) -> Top:
    """Inverse of `top_frame`."""
    numbers = range(1, KEPT + 1)
    return Top(
        predictions[[f"top_{number}" for number in numbers]].to_numpy(dtype="int32"),
        predictions[[f"p_{number}" for number in numbers]].to_numpy(dtype="float32"),
        int(predictions["classes"].iloc[0]) if len(predictions) else KEPT,
    )


def shared(tops: Sequence[Top], weights: Sequence[float] | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The classes that are most probable by several predictions of the same rows, with what each gives them.

    Parameters
    ----------
    weights : of the predictions; None: equal ones.

    Returns
    -------
    codes : int64 (N, K).
    values : float32 (R, N, K).
    """
    count, kept, classes = len(tops[0]), tops[0].codes.shape[1], tops[0].classes
    shares = np.full(len(tops), 1 / len(tops)) if weights is None else np.asarray(weights, dtype="float64")
    codes = np.empty((count, kept), dtype="int64")
    values = np.empty((len(tops), count, kept), dtype="float32")
    step = max(1, CELLS // (4 * kept * len(tops)))
    for start in range(0, count, step):
        rows = np.arange(start, min(start + step, count))
        laid, unique, row = _side_by_side([top.take(rows) for top in tops])
        order = np.lexsort((unique, -(shares @ laid), row))
        first = np.searchsorted(row, np.arange(len(rows)))  # where each row begins, sorted or not
        chosen = order[first[:, None] + np.arange(kept)]
        codes[rows], values[:, rows] = unique[chosen] % classes, laid[:, chosen]
    return codes, values


def _side_by_side(tops: Sequence[Top]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What each prediction (R) gives to every class (U) that any of them has kept of a row, with row x
    classes + class and the row of each, ascending."""
    classes = tops[0].classes
    rows = np.arange(len(tops[0]))[:, None] * classes
    unique, place = np.unique(np.stack([rows + top.codes for top in tops]), return_inverse=True)
    row = unique // classes
    laid = np.stack([top.rest[row] for top in tops])
    for run, (top, own) in enumerate(zip(tops, place.reshape(len(tops), -1), strict=True)):
        laid[run, own] = top.values.ravel()
    return laid, unique, row


def mean_of_tops(tops: Sequence[Top]) -> Top:
    """Arithmetic mean of predictions of the same rows."""
    codes, values = shared(tops)
    return ordered(codes, values.mean(axis=0, dtype="float64"), tops[0].classes)
