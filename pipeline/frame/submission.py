"""What a submission file may hold: its columns, its ids, its order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd

from pipeline.base.errors import UserError, name_some
from pipeline.base.progress import say
from pipeline.frame.names import cause, nfc


class Column(Protocol):
    """What the cells of one submission column may hold."""

    def wrong(self, values: pd.Series) -> np.ndarray:
        """Boolean mask of the cells that are not allowed."""
        ...

    def describe(self) -> str:
        """What is allowed, to finish the sentence "must be ..."."""
        ...


@dataclass(frozen=True)
class OneOf:
    """One of a set of names."""

    names: Sequence[str]

    def wrong(self, values: pd.Series) -> np.ndarray:
        """See Column."""
        return ~values.isin(self.names).to_numpy()

    def describe(self) -> str:
        """See Column."""
        return f"one of {name_some(self.names, limit=12)}"


@dataclass(frozen=True)
class Probability:
    """A finite number from 0 to 1."""

    def wrong(self, values: pd.Series) -> np.ndarray:
        """See Column."""
        numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=float)
        return ~((numbers >= 0) & (numbers <= 1))

    def describe(self) -> str:
        """See Column."""
        return "a number from 0 to 1"


@dataclass(frozen=True)
class Number:
    """A finite number."""

    def wrong(self, values: pd.Series) -> np.ndarray:
        """See Column."""
        return ~np.isfinite(pd.to_numeric(values, errors="coerce").to_numpy(dtype=float))

    def describe(self) -> str:
        """See Column."""
        return "a finite number"


@dataclass(frozen=True)
class Words:
    """Names separated by single blanks, none of them twice.

    Attributes
    ----------
    least, most : how many; None is any number.
    """

    names: Sequence[str]
    least: int = 0
    most: int | None = None

    def wrong(self, values: pd.Series) -> np.ndarray:
        """See Column."""
        allowed = set(self.names)
        most = len(allowed) if self.most is None else self.most
        cells = [text.split(" ") if text else [] for text in map(str, values)]  # a missing cell is "nan"
        good = [
            self.least <= len(words) == len(set(words)) <= most and allowed.issuperset(words)
            for words in cells
        ]
        return ~np.asarray(good, dtype=bool)

    def describe(self) -> str:
        """See Column."""
        counts = {None: f"{self.least} or more", self.least: f"{self.least}"}
        count = counts.get(self.most, f"{self.least} to {self.most}")
        return f"{count} different names separated by blanks, of {name_some(self.names, limit=12)}"


@dataclass(frozen=True)
class Anything:
    """A cell that is checked elsewhere."""

    def wrong(self, values: pd.Series) -> np.ndarray:
        """See Column."""
        return np.zeros(len(values), dtype=bool)

    def describe(self) -> str:
        """See Column."""
        return "anything"


class Format(Protocol):
    """What the organiser accepts."""

    def sample_of(self, ids: Sequence[str]) -> pd.DataFrame:
        """What stands in for the organiser's sample file where there is none: these test images' ids."""
        ...

    def check_sample(self, sample: pd.DataFrame, test: pd.DataFrame) -> None:
        """Check the organiser's sample file against the test manifest, before training is spent on it.

        Raises UserError.
        """
        ...

    def checked(
        self, frame: pd.DataFrame, sample: pd.DataFrame, test: pd.DataFrame, name: str
    ) -> pd.DataFrame:
        """The rows of a submission as they are to be written; `name` is what a message calls it.

        Raises UserError where the organiser would refuse it.
        """
        ...


@dataclass(frozen=True)
class SubmissionFormat:
    """One row for each id of the sample file, whose columns may have any order.

    Attributes
    ----------
    columns : name of each further column and what it may hold.
    """

    id_column: str
    columns: Mapping[str, Column]

    def sample_of(self, ids: Sequence[str]) -> pd.DataFrame:
        """See Format: a row for each id, with nothing in its cells."""
        blank = dict.fromkeys(self.columns, "")
        return pd.DataFrame({self.id_column: list(ids), **blank}, dtype="str")

    def check_sample(self, sample: pd.DataFrame, test: pd.DataFrame) -> None:
        """See Format: refuses other columns, ids that occur twice, ids that have no test image."""
        expected = [self.id_column, *self.columns]
        if sorted(sample.columns) != sorted(expected):
            raise UserError(
                f"the sample submission has the columns {list(sample.columns)}, not {expected}: "
                "is it another competition's?"
            )
        ids = nfc(sample[self.id_column])
        if ids.duplicated().any():
            raise UserError(
                f"the sample submission repeats the id(s) {name_some(ids[ids.duplicated()].unique())}: "
                "fetch it again"
            )
        there = nfc(test["image_id"])
        without_image = ids[~ids.isin(there)]
        unasked = sorted(set(there) - set(ids))
        if len(without_image):
            reason = cause(without_image.tolist(), unasked)
            raise UserError(
                f"the sample submission asks for {len(without_image):,} id(s) that have no test image: "
                f"{name_some(without_image)}; "
                + (reason or "fetch the test images and the sample file again")
            )
        if unasked:
            say(
                f"warning: {len(unasked):,} test images are not in the sample submission and get no row: "
                f"{name_some(unasked)}"
            )

    def checked(
        self, frame: pd.DataFrame, sample: pd.DataFrame, test: pd.DataFrame, name: str
    ) -> pd.DataFrame:
        """See Format: the sample file's columns and ids, in its order, with allowed values alone."""
        expected = [self.id_column, *self.columns]
        if list(frame.columns) not in (expected, list(sample.columns)):
            raise UserError(f"{name}: the columns are {list(frame.columns)}, and must be {expected}")
        ids, wanted = nfc(frame[self.id_column].astype("str")), nfc(sample[self.id_column])
        if ids.duplicated().any():
            twice = ids[ids.duplicated()].unique()
            raise UserError(f"{name}: the id(s) {name_some(twice)} occur more than once")
        missing, surplus = wanted[~wanted.isin(ids)], ids[~ids.isin(wanted)]
        if len(missing) or len(surplus):
            parts = [f"lacks {len(missing):,} id(s) ({name_some(missing)})"] if len(missing) else []
            parts += (
                [f"has {len(surplus):,} id(s) the sample file does not list ({name_some(surplus)})"]
                if len(surplus)
                else []
            )
            raise UserError(f"{name}: {' and '.join(parts)}")
        ordered = frame.assign(**{self.id_column: ids}).set_index(self.id_column).loc[wanted].reset_index()
        ordered[self.id_column] = sample[self.id_column].to_numpy()  # as the organiser spells it
        for column, rule in self.columns.items():
            wrong = np.flatnonzero(rule.wrong(ordered[column]) | ordered[column].isna().to_numpy())
            if len(wrong):
                cell = ordered[column].iat[wrong[0]]
                raise UserError(
                    f"{name}: {len(wrong):,} value(s) of {column} are not allowed, the first {cell!r} at id "
                    f"{ordered[self.id_column].iat[wrong[0]]}; it must be {rule.describe()}"
                )
        return ordered[list(sample.columns)]
