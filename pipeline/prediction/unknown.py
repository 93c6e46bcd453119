"""A class of all that is none of the others: where it comes among them, fitted on out-of-fold predictions."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from pipeline.base.errors import UserError
from pipeline.frame.top import is_top, ordered, read_top, top_frame
from pipeline.frame.values import frame_of, values_of
from pipeline.prediction.decide import Decision, Score

TRIED = 39
"""Numbers that are tried, as evenly spread over the rows as can be."""
BESIDE = 1e-4
"""By how much the class is put before or behind another."""


class UnknownClass(Decision):
    """Where a class of all that is none of the others, such as new_whale, comes in the ranking of each row.

    A number is added to its probability, below 0 where it is predicted too often, so that it comes before the
    classes that are less probable than that; rows are scaled to a sum of 1 again. For metrics of rankings.

    Parameters
    ----------
    name : the class.
    ranks : the first places that the metric looks at.
    """

    def __init__(self, name: str, ranks: int = 5) -> None:
        self.name, self.ranks = name, ranks

    def fit(self, predictions: pd.DataFrame, classes: Sequence[str], score: Score) -> float:
        """See Decision. Tried is what lets the class pass those on the first places of some more rows; ties
        go to the number closest to 0."""
        own, first = self._ahead(predictions, classes)
        between = np.quantile(first - own[:, None], np.linspace(0, 1, TRIED), method="nearest")
        # Just past the class in question, whichever side it is on.
        tried = np.unique(np.round([*(between - BESIDE), *(between + BESIDE)], 6)).tolist()

        def of(value: float) -> float:
            found = score(self.apply(predictions, classes, value))
            return -np.inf if np.isnan(found) else found

        return max([0.0, *sorted(tried, key=abs)], key=of)

    def apply(self, predictions: pd.DataFrame, classes: Sequence[str], fitted: Any) -> pd.DataFrame:
        """See Decision."""
        code, ids = self._code(classes), predictions["image_id"].to_numpy()
        if is_top(predictions):
            top = read_top(predictions)
            own = top.given(np.full(len(top), code))
            codes, values = top.codes.copy(), top.values.astype("float64")
            place = np.where((codes == code).any(axis=1), (codes == code).argmax(axis=1), -1)  # or the last
            codes[np.arange(len(codes)), place] = code
            values[np.arange(len(codes)), place] = (own + fitted).clip(0)
            changed = top_frame(ids, ordered(codes, _shares(values, own, fitted), top.classes))
        else:
            values = values_of(predictions, classes).copy()
            own = values[:, code].copy()
            values[:, code] = (own + fitted).clip(0)
            changed = frame_of(ids, _shares(values, own, fitted), classes)
        return changed.set_index(predictions.index)

    def _ahead(self, predictions: pd.DataFrame, classes: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities of the class (N,), and of the most probable others (N, R)."""
        code = self._code(classes)
        if is_top(predictions):
            top = read_top(predictions)
            own, values = top.given(np.full(len(top), code)), np.where(top.codes == code, -1.0, top.values)
        else:
            values = values_of(predictions, classes).copy()
            own = values[:, code].copy()
            values[:, code] = -1
        others = -np.sort(-values, axis=1)
        return own, others[:, : min(self.ranks, len(classes) - 1)]

    def _code(self, classes: Sequence[str]) -> int:
        if self.name not in classes:
            raise UserError(
                f"no training image has the label {self.name!r}, which the decision is about: give it to "
                "some in load_train, or leave the decision out"
            )
        return list(classes).index(self.name)


def _shares(values: np.ndarray, own: np.ndarray, added: float) -> np.ndarray:
    """Values (N, C) after `added` was added to `own` (N,), scaled as a sum of 1 was before."""
    return values / (1 + np.maximum(added, -own)).clip(1e-12)[:, None]
