"""submissions/<slug>/ledger.csv: one row for every run that wrote a submission."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock

from pipeline.base.errors import UserError
from pipeline.base.files import atomic_path

UPLOAD_COLUMNS = ("uploaded", "reference", "lb_public", "lb_private")
"""What Kaggle says about a run's file, empty until it does. ``uploaded``: the UTC time of the submission, or
`UPLOADING`; ``reference``: Kaggle's number of it; ``lb_public``, ``lb_private``: its scores, as Kaggle
writes them."""

UPLOADING = "uploading"
"""Stands in ``uploaded`` from before the upload until Kaggle's answer is known: a cut leaves it behind."""


@dataclass(frozen=True, kw_only=True)
class LedgerRow:
    """What was tried and what it scored.

    Attributes
    ----------
    data : where the images came from; ``sample`` marks a run that must not be uploaded.
    better : larger or smaller: which scores of the metric are better.
    cv_score : the metric over all out-of-fold predictions; cv_std: its spread over folds, NaN with one fold.
        NaN, also where the images leave a score undefined, is an empty cell, and so is infinity.
    sha256 : of the submission file.
    folds : how many folds made the file and the score; fewer than ``folds_planned`` where the run is not
        finished, or its time limit left no more.
    minutes : wall time of training and prediction, all folds.
    model, size, changed, note : see `pipeline.runs.about`.
    """

    run: str
    date: str
    config: str
    digest: str
    git_sha: str
    data: str
    metric: str
    better: str
    cv_score: float
    cv_std: float
    folds: int
    folds_planned: int
    rows: int
    sha256: str
    minutes: float
    model: str = ""
    size: str = ""
    changed: str = ""
    note: str = ""


def record(ledger: Path, row: LedgerRow) -> None:
    """Add `row`, or replace the row of the same run; the rest stays. Safe for runs side by side.

    What Kaggle said about the run's file is kept as long as the file is the same.

    Raises
    ------
    UserError : the ledger is not readable as CSV, so nothing is changed.
    """
    new = {key: _cell(value) for key, value in asdict(row).items()}
    with _changing(ledger) as rows:
        known = rows["run"] == row.run
        if not known.any():
            rows.loc[len(rows)] = pd.Series(new).reindex(rows.columns)
            return
        if (rows.loc[known, "sha256"] != row.sha256).any():
            new |= dict.fromkeys(UPLOAD_COLUMNS, "")
        if not row.note:
            del new["note"]  # one that was written by hand stays
        for column, value in new.items():
            rows.loc[known, column] = value


def update_note(ledger: Path, run: str, note: str) -> None:
    """Set a run's note; the rest stays. Safe for runs side by side. Raises UserError as `update_upload`."""
    _update(ledger, run, {"note": note})


def update_upload(ledger: Path, run: str, **values: str) -> None:
    """Set some of the `UPLOAD_COLUMNS` of a run's row; the rest stays. Safe for runs side by side.

    Raises
    ------
    UserError : the ledger has no row of `run`, or is not readable.
    """
    unknown = set(values) - set(UPLOAD_COLUMNS)
    if unknown:
        raise ValueError(f"not set by an upload: {sorted(unknown)}")
    _update(ledger, run, values)


def _update(ledger: Path, run: str, values: dict[str, str]) -> None:
    with _changing(ledger) as rows:
        known = rows["run"] == run
        if not known.any():
            raise UserError(f"{ledger} has no run {run}: make submit writes its row")
        for column, value in values.items():
            rows.loc[known, column] = value


def _cell(value: Any) -> str:
    return "" if isinstance(value, float) and not math.isfinite(value) else str(value)


@contextmanager
def _changing(ledger: Path) -> Iterator[pd.DataFrame]:
    """Yield all rows, with every column of this version, to be changed in place; then write them."""
    ledger.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(ledger.with_name(f".{ledger.name}.lock")):
        rows = read_ledger(ledger)
        for column in (field.name for field in fields(LedgerRow)):
            if column not in rows:
                rows[column] = ""
        yield rows
        with atomic_path(ledger) as temporary:
            rows.fillna("").to_csv(temporary, index=False, lineterminator="\n")


def read_ledger(ledger: Path) -> pd.DataFrame:
    """All rows as text; no rows where there is no ledger yet.

    A ledger written before there were `UPLOAD_COLUMNS` reads as if nothing in it had been uploaded.
    """
    if not ledger.exists():
        return pd.DataFrame(
            columns=[*(field.name for field in fields(LedgerRow)), *UPLOAD_COLUMNS], dtype=str
        )
    try:
        rows = pd.read_csv(ledger, dtype=str, keep_default_na=False)
    except ValueError as error:
        raise UserError(
            f"{ledger} is no readable CSV ({str(error).strip()}); restore it from git or move it away"
        ) from error
    if "run" not in rows:
        raise UserError(f"{ledger} has no run column; restore it from git or move it away")
    return rows.assign(**{column: "" for column in UPLOAD_COLUMNS if column not in rows})
