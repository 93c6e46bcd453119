"""The submission file: checked against the organiser's sample and the test images, then written whole or not
at all."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from pipeline.base.errors import UserError, name_some
from pipeline.base.files import atomic_path
from pipeline.base.progress import say


class Column(Protocol):
    """What the cells of one submission column may hold."""

    def wrong(self, values: pd.Series) -> np.ndarray:
        """Boolean mask of the cells that are not allowed."""

    def describe(self) -> str:
        """What is allowed, to finish the sentence "must be ..."."""


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


class Format(Protocol):
    """What the organiser accepts."""

    def check_sample(self, sample: pd.DataFrame, test: pd.DataFrame) -> None:
        """Check the organiser's sample file against the test manifest, before training is spent on it.

        Raises UserError.
        """

    def checked(
        self, frame: pd.DataFrame, sample: pd.DataFrame, test: pd.DataFrame, name: str
    ) -> pd.DataFrame:
        """The rows of a submission as they are to be written; `name` is what a message calls it.

        Raises UserError where the organiser would refuse it.
        """


@dataclass(frozen=True)
class SubmissionFormat:
    """One row for each id of the sample file. Columns, in order: the id column first.

    Attributes
    ----------
    columns : name of each further column and what it may hold.
    """

    id_column: str
    columns: dict[str, Column]

    def check_sample(self, sample: pd.DataFrame, test: pd.DataFrame) -> None:
        """See Format: refuses other columns, ids that occur twice, ids that have no test image."""
        expected = [self.id_column, *self.columns]
        if list(sample.columns) != expected:
            raise UserError(
                f"the sample submission has the columns {list(sample.columns)}, not {expected}: "
                "is it another competition's?"
            )
        ids = sample[self.id_column]
        if ids.duplicated().any():
            raise UserError(
                f"the sample submission repeats the id(s) {name_some(ids[ids.duplicated()].unique())}: "
                "fetch it again"
            )
        without_image = ids[~ids.isin(test["image_id"])]
        if len(without_image):
            raise UserError(
                f"the sample submission asks for {len(without_image):,} id(s) that have no test image: "
                f"{name_some(without_image)}; fetch the test images and the sample file again"
            )
        unasked = sorted(set(test["image_id"]) - set(ids))
        if unasked:
            say(
                f"warning: {len(unasked):,} test images are not in the sample submission and get no row: "
                f"{name_some(unasked)}"
            )

    def checked(
        self, frame: pd.DataFrame, sample: pd.DataFrame, test: pd.DataFrame, name: str
    ) -> pd.DataFrame:
        """See Format: the sample file's ids in its order, with allowed values alone."""
        expected = [self.id_column, *self.columns]
        if list(frame.columns) != expected:
            raise UserError(f"{name}: the columns are {list(frame.columns)}, and must be {expected}")
        ids, wanted = frame[self.id_column].astype("str"), sample[self.id_column]
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
        for column, rule in self.columns.items():
            wrong = np.flatnonzero(rule.wrong(ordered[column]) | ordered[column].isna().to_numpy())
            if len(wrong):
                cell = ordered[column].iat[wrong[0]]
                raise UserError(
                    f"{name}: {len(wrong):,} value(s) of {column} are not allowed, the first {cell!r} at id "
                    f"{ordered[self.id_column].iat[wrong[0]]}; it must be {rule.describe()}"
                )
        return ordered


def write_submission(
    frame: pd.DataFrame, sample: pd.DataFrame, test: pd.DataFrame, form: Format, path: Path
) -> pd.DataFrame:
    """Check `frame`, put it in the organiser's order and write it to `path` atomically.

    Parameters
    ----------
    sample : the organiser's sample file.
    test : the test manifest.

    Returns
    -------
    The rows as written.

    Raises
    ------
    UserError : columns, ids or values that the organiser would refuse; nothing is written then.
    """
    ordered = form.checked(frame, sample, test, str(path))
    with atomic_path(path) as temporary:
        ordered.to_csv(temporary, index=False, lineterminator="\n")
    return ordered


def check_file(path: Path, sample: pd.DataFrame, test: pd.DataFrame, form: Format) -> None:
    """Check a submission file on disk, down to its row order. Raises UserError as `write_submission` does."""
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as CSV ({str(error).strip()})") from error
    ordered = form.checked(frame, sample, test, str(path))
    if list(frame.iloc[:, 0]) != list(ordered.iloc[:, 0]):
        raise UserError(f"{path} does not list its ids in the sample submission's order")
