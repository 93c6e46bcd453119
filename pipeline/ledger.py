"""submissions/<slug>/ledger.csv: one row for every run that wrote a submission."""

from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
from filelock import FileLock

from pipeline.errors import UserError
from pipeline.files import atomic_path


@dataclass(frozen=True)
class LedgerRow:
    """What was tried and what it scored.

    Attributes
    ----------
    data : where the images came from; ``sample`` marks a run that must not be uploaded.
    cv_score : the metric over all out-of-fold predictions; cv_std: its spread over folds (0 with one fold).
    sha256 : of the submission file.
    minutes : wall time of training and prediction, all folds.
    """

    run: str
    date: str
    config: str
    digest: str
    git_sha: str
    data: str
    metric: str
    cv_score: float
    cv_std: float
    folds: int
    rows: int
    sha256: str
    minutes: float


def record(ledger: Path, row: LedgerRow) -> None:
    """Add `row`, or replace the row of the same run; the rest stays. Safe for runs side by side.

    Raises
    ------
    UserError : the ledger is not readable as CSV, so nothing is changed.
    """
    ledger.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(ledger.with_name(f".{ledger.name}.lock")):
        rows = read_ledger(ledger)
        new = pd.DataFrame([{key: str(value) for key, value in asdict(row).items()}])
        known = rows["run"] == row.run if "run" in rows else pd.Series(dtype=bool)
        if known.any():
            for column, value in new.iloc[0].items():
                rows.loc[known, column] = value
        else:
            rows = pd.concat([rows, new])
        with atomic_path(ledger) as temporary:
            rows.fillna("").to_csv(temporary, index=False, lineterminator="\n")


def read_ledger(ledger: Path) -> pd.DataFrame:
    """All rows as text; an empty frame where there is no ledger yet."""
    if not ledger.exists():
        return pd.DataFrame()
    try:
        rows = pd.read_csv(ledger, dtype=str, keep_default_na=False)
    except ValueError as error:
        raise UserError(
            f"{ledger} is no readable CSV ({str(error).strip()}); restore it from git or move it away"
        ) from error
    if "run" not in rows:
        raise UserError(f"{ledger} has no run column; restore it from git or move it away")
    return rows
