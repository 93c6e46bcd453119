"""A table beside the images: numbers and categories of each row, as a network takes them.

A number is standardised by the mean and the deviation of the training rows; where it is missing it is their
mean, and a column of its own says so where training rows miss it, too. A category is a column of 0 and 1 for
each value of the training rows; one that none of them has is 0 in all.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipeline.base.errors import UserError, name_some
from pipeline.frame.schema import as_text

MISSING = ("", "na", "n/a", "nan", "null", "none")
"""What stands for a missing value, in letters of either case."""

Fitted = dict[str, Any]
"""What the training rows were like, as plain values, for the checkpoint."""


@dataclass(frozen=True)
class Table:
    """Which columns of the train and test frames a network sees beside the image.

    Attributes
    ----------
    numbers : columns of numbers, or of texts of numbers.
    categories : columns of names; numbers in them are taken for names.
    """

    numbers: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.numbers, *self.categories)

    def checked(self, frame: pd.DataFrame, split: str) -> pd.DataFrame:
        """The frame with float64 numbers, NaN for missing ones, and categories as text, empty where missing.

        Raises
        ------
        UserError : a column that is not there, or a cell that is no finite number; names the ids.
        """
        lacking = [name for name in self.columns if name not in frame]
        if lacking:
            raise UserError(
                f"the competition's table has the column(s) {name_some(lacking)}, and the {split} frame has "
                "none: add them in load_train and load_test, or leave them out of the table"
            )
        columns = {}
        for name in self.numbers:
            values = pd.to_numeric(frame[name].where(~_missing(frame[name])), errors="coerce")
            wrong = frame.loc[~np.isfinite(values.to_numpy("float64")) & ~_missing(frame[name]), "image_id"]
            if len(wrong):
                raise UserError(
                    f"{split} has a {name} that is no finite number for {len(wrong):,} image(s): "
                    f"{name_some(wrong)}; correct it, or make it a category of the table"
                )
            columns[name] = values.astype("float64")
        for name in self.categories:
            columns[name] = as_text(frame[name].where(~_missing(frame[name]), "")).astype("str")
        return frame.assign(**columns)

    def notes(self, train: pd.DataFrame, test: pd.DataFrame) -> list[str]:
        """What checked test rows have that no training row has, a sentence each."""
        found = []
        for name in self.numbers:
            lost = int(test[name].isna().sum())
            if lost and not train[name].isna().any():
                found.append(f"{lost:,} test rows have no {name}, unlike any training row: they get its mean")
        for name in self.categories:
            new = sorted(set(test[name]) - set(train[name]))
            if new:
                count = int(test[name].isin(new).sum())
                found.append(
                    f"{count:,} test rows have a {name} that no training row has, which tells nothing: "
                    f"{name_some([value or 'a missing one' for value in new])}"
                )
        return found

    def fit(self, frame: pd.DataFrame) -> Fitted:
        """What checked training rows are like: of each number its mean, deviation and whether it may be
        missing, of each category its values."""
        numbers = {}
        for name in self.numbers:
            values = frame[name].dropna().to_numpy("float64")
            mean = float(values.mean()) if len(values) else 0.0
            std = float(values.std()) if len(values) else 0.0
            numbers[name] = [
                mean,
                std if std > 1e-12 * max(1.0, abs(mean)) else 1.0,
                len(values) < len(frame),
            ]
        return {
            "numbers": numbers,
            "categories": {name: sorted(frame[name].unique().tolist()) for name in self.categories},
        }


def width_of(fitted: Fitted) -> int:
    """How many numbers `encoded` makes of a row."""
    if not fitted:
        return 0
    numbers = sum(1 + bool(may_miss) for _, _, may_miss in fitted["numbers"].values())
    return numbers + sum(map(len, fitted["categories"].values()))


def encoded(fitted: Fitted, frame: pd.DataFrame) -> np.ndarray:
    """float32 (N, `width_of`) of checked rows."""
    columns: list[np.ndarray] = []
    for name, (mean, std, may_miss) in fitted["numbers"].items():
        values = frame[name].to_numpy("float64")
        missing = np.isnan(values)
        columns.append(np.where(missing, 0.0, (values - mean) / std))
        if may_miss:
            columns.append(missing)
    for name, values in fitted["categories"].items():
        cells = frame[name].to_numpy(dtype=object)
        columns += [cells == value for value in values]
    return np.stack(columns, axis=1).astype("float32") if columns else np.zeros((len(frame), 0), "float32")


def _missing(cells: pd.Series) -> pd.Series:
    texts = cells.astype("str").str.strip().str.lower()
    return cells.isna() | texts.isin(MISSING)
