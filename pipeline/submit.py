"""The submission file: checked against the organiser's sample and the test images, then written whole or not
at all."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from pipeline.errors import UserError, name_some
from pipeline.files import atomic_path
from pipeline.progress import say


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


@dataclass(frozen=True)
class SubmissionFormat:
    """Columns of a submission, in order: the id column first.

    Attributes
    ----------
    columns : name of each further column and what it may hold.
    """

    id_column: str
    columns: dict[str, Column]


def check_sample(sample: pd.DataFrame, test_ids: Sequence[str], form: SubmissionFormat) -> None:
    """Check the organiser's sample file before any training is spent on it.

    Raises
    ------
    UserError : other columns than the format's, ids that occur twice, ids that have no test image.
    """
    expected = [form.id_column, *form.columns]
    if list(sample.columns) != expected:
        raise UserError(
            f"the sample submission has the columns {list(sample.columns)}, not {expected}: "
            "is it another competition's?"
        )
    ids = sample[form.id_column]
    if ids.duplicated().any():
        raise UserError(
            f"the sample submission repeats the id(s) {name_some(ids[ids.duplicated()].unique())}: "
            "fetch it again"
        )
    without_image = ids[~ids.isin(list(test_ids))]
    if len(without_image):
        raise UserError(
            f"the sample submission asks for {len(without_image):,} id(s) that have no test image: "
            f"{name_some(without_image)}; fetch the test images and the sample file of one competition again"
        )
    unasked = sorted(set(test_ids) - set(ids))
    if unasked:
        say(
            f"warning: {len(unasked):,} test images are not in the sample submission and get no row: "
            f"{name_some(unasked)}"
        )


def write_submission(
    frame: pd.DataFrame, sample: pd.DataFrame, form: SubmissionFormat, path: Path
) -> pd.DataFrame:
    """Check `frame`, put it in the sample's order and write it to `path` atomically.

    Returns
    -------
    The rows as written.

    Raises
    ------
    UserError : columns, ids or values that the organiser would refuse; nothing is written then.
    """
    ordered = _checked(frame, sample, form, str(path))
    with atomic_path(path) as temporary:
        ordered.to_csv(temporary, index=False, lineterminator="\n")
    return ordered


def check_file(path: Path, sample: pd.DataFrame, form: SubmissionFormat) -> None:
    """Check a submission file on disk, down to its row order. Raises UserError as `write_submission` does."""
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as CSV ({str(error).strip()})") from error
    ordered = _checked(frame, sample, form, str(path))
    if list(frame[form.id_column]) != list(ordered[form.id_column]):
        raise UserError(f"{path} does not list its ids in the sample submission's order")


def _checked(frame: pd.DataFrame, sample: pd.DataFrame, form: SubmissionFormat, name: str) -> pd.DataFrame:
    expected = [form.id_column, *form.columns]
    if list(frame.columns) != expected:
        raise UserError(f"{name}: the columns are {list(frame.columns)}, and must be {expected}")
    ids, wanted = frame[form.id_column].astype("str"), sample[form.id_column]
    if ids.duplicated().any():
        raise UserError(f"{name}: the id(s) {name_some(ids[ids.duplicated()].unique())} occur more than once")
    missing, surplus = wanted[~wanted.isin(ids)], ids[~ids.isin(wanted)]
    if len(missing) or len(surplus):
        parts = [f"lacks {len(missing):,} id(s) ({name_some(missing)})"] if len(missing) else []
        parts += (
            [f"has {len(surplus):,} id(s) the sample file does not list ({name_some(surplus)})"]
            if len(surplus)
            else []
        )
        raise UserError(f"{name}: {' and '.join(parts)}")
    ordered = frame.assign(**{form.id_column: ids}).set_index(form.id_column).loc[wanted].reset_index()
    for column, rule in form.columns.items():
        wrong = np.flatnonzero(rule.wrong(ordered[column]) | ordered[column].isna().to_numpy())
        if len(wrong):
            cell = ordered[column].iat[wrong[0]]
            raise UserError(
                f"{name}: {len(wrong):,} value(s) of {column} are not allowed, the first {cell!r} at id "
                f"{ordered[form.id_column].iat[wrong[0]]}; it must be {rule.describe()}"
            )
    return ordered
