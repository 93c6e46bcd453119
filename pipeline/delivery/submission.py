"""The submission file: checked against the organiser's sample and the test images, then written whole or not
at all."""

from pathlib import Path

import pandas as pd

from pipeline.base.errors import UserError, name_some
from pipeline.base.files import atomic_path
from pipeline.base.progress import banner
from pipeline.frame.submission import Format


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
    constant = [
        column for column in ordered if len(ordered) > 1 and ordered[column].nunique(dropna=False) == 1
    ]
    if constant:
        values = [f"{column} is {ordered[column].iat[0]!r}" for column in constant]
        banner(
            f"warning: {path}: the same value in all {len(ordered):,} rows: {name_some(values)}; "
            "has the model learnt anything? look at its report before you upload"
        )
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
