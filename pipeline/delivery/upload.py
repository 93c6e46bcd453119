"""A run's submission file to Kaggle, its score into the ledger: never a sample's, never twice."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import pandas as pd
from filelock import FileLock, Timeout

from pipeline.base.errors import UserError, name_some
from pipeline.base.files import file_hash
from pipeline.base.progress import say
from pipeline.competition.base import Competition
from pipeline.competition.prepared import Prepared
from pipeline.delivery.submission import check_file
from pipeline.kaggle.download import has_credentials
from pipeline.kaggle.retry import is_refusal
from pipeline.kaggle.submissions import Submission, Submissions
from pipeline.runs.ledger import UPLOAD_COLUMNS, UPLOADING, read_ledger, update_upload

WAIT_S = 600.0
"""How long to wait for a score; Kaggle takes seconds for most competitions, and an hour for some."""

OnScore = Callable[[str, dict[str, str]], None]
"""Told a run's name and its `UPLOAD_COLUMNS` whenever the ledger gets a score."""


DataOf = Callable[[str, str], Prepared]
"""From a run and where its images came from, which the ledger's ``data`` says, to what its file is checked
against."""


def should_upload(source_kind: str, environment: Mapping[str, str]) -> bool:
    """Whether `make submit` is to upload by itself: data from Kaggle, credentials, and no UPLOAD=0.

    Parameters
    ----------
    source_kind : see `pipeline.competition.sources.Source`.
    environment : such as os.environ; UPLOAD is read from it.
    """
    return source_kind == "kaggle" and environment.get("UPLOAD") != "0" and has_credentials()


def upload(
    competition: Competition,
    data_of: DataOf,
    run_name: str | None,
    submissions: Path,
    wait_seconds: float = WAIT_S,
    on_score: OnScore | None = None,
) -> str:
    """Hand in the file of a run, wait for its score and write it to the ledger.

    Parameters
    ----------
    data_of : called once the run is chosen.
    run_name : a run in the ledger; None takes the newest on real data, and says which.
    submissions : the competition's folder of submissions, with the ledger.
    wait_seconds : how long to wait for the score; 0 looks once.

    Returns
    -------
    One line: the run, Kaggle's reference, the scores.

    Raises
    ------
    UserError : the competition is not on Kaggle, there is no such run, the run is a sample's, the file is
        missing, changed, invalid or handed in already, today's submissions are used up, Kaggle cannot be
        reached or refuses, or cannot score the file. The ledger then says how far it came, and a second call
        goes on from there.
    """
    kaggle = _on_kaggle(competition)
    ledger = submissions / "ledger.csv"
    row = _chosen(read_ledger(ledger), run_name, ledger)
    path = _checked_file(row, submissions, competition, data_of)
    try:
        with FileLock(submissions / ".upload.lock", timeout=0):
            found = _upload_once(kaggle, row["run"], row["sha256"], path, ledger)
    except Timeout:
        raise UserError(f"another process is uploading from {submissions}: wait for it") from None
    say(f"submission {found.reference} to {competition.kaggle_slug} is in; waiting for its score")
    try:
        found = kaggle.wait(found, wait_seconds)
    except UserError as error:
        raise UserError(
            f"{row['run']} is uploaded as submission {found.reference}, and make scores reads its score "
            f"later: {error}"
        ) from error
    values = _values(found)
    update_upload(ledger, row["run"], **values)
    if found.state == "error":
        page = f"https://www.kaggle.com/competitions/{competition.kaggle_slug}/submissions"
        raise UserError(
            f"Kaggle could not score {path}, submission {found.reference} ({_reason(found)}): see {page}"
        )
    if found.state == "complete" and on_score is not None:
        on_score(row["run"], values)
    return f"upload: {row['run']}, {_line(found)}"


def refresh_scores(
    competition: Competition, submissions: Path, on_score: OnScore | None = None
) -> list[dict[str, str]]:
    """Bring the ledger's scores up to Kaggle's list, also those of files handed in elsewhere.

    Returns
    -------
    The ledger rows that changed, as they are now.

    Raises
    ------
    UserError : the competition is not on Kaggle, or Kaggle cannot be reached or refuses.
    """
    kaggle = _on_kaggle(competition)
    ledger = submissions / "ledger.csv"
    before = read_ledger(ledger)
    if before.empty:
        raise UserError(f"{ledger} has no runs yet: make submit adds one")
    listed = list(kaggle.all(f"to read the scores of {competition.slug}"))
    by_reference = {found.reference: found for found in listed}
    by_mark = {word: found for found in reversed(listed) for word in found.description.split()}
    changed = []
    for row in before.to_dict("records"):
        found = by_reference.get(row["reference"]) or by_mark.get(_mark(row.get("sha256", "")))
        if found is None or row.get("data") == "sample":
            continue
        values = _values(found)
        if found.state == "error":
            say(f"warning: Kaggle could not score {row['run']} ({_reason(found)})")
        if values == {column: row[column] for column in UPLOAD_COLUMNS}:
            continue
        update_upload(ledger, row["run"], **values)
        changed.append(row | values)
        if found.state == "complete" and on_score is not None:
            on_score(row["run"], values)
    return changed


def _on_kaggle(competition: Competition) -> Submissions:
    if competition.kaggle_slug is None:
        raise UserError(f"{competition.slug} is not on Kaggle: there is nowhere to upload a submission to")
    return Submissions(competition.kaggle_slug)


def _chosen(rows: pd.DataFrame, run_name: str | None, ledger: Path) -> dict[str, str]:
    """The row to upload."""
    if run_name is not None:
        if not (rows["run"] == run_name).any():
            known = name_some(list(rows["run"])) or "none"
            raise UserError(f"{ledger} has no run {run_name}: choose one of those it has ({known})")
        row = rows[rows["run"] == run_name].iloc[-1].to_dict()
        if row.get("data") == "sample":
            raise UserError(
                f"{run_name} was trained on the generated sample and means nothing to Kaggle: run make "
                "submit with DATA=kaggle, or name another run"
            )
    else:
        real = rows[rows["data"] != "sample"] if "data" in rows else rows
        if real.empty:
            raise UserError(f"{ledger} has no run on real data: run make submit with DATA=kaggle first")
        row = (real.sort_values("date", kind="stable") if "date" in real else real).iloc[-1].to_dict()
        say(f"uploading {row['run']}, the newest run on real data (CV {row.get('cv_score', 'unknown')})")
    twins = (
        rows[(rows["sha256"] == row["sha256"]) & (rows["reference"] != "")] if "sha256" in rows else rows[:0]
    )
    if len(twins):
        twin = twins.iloc[0]
        raise UserError(
            f"the file of {row['run']} is already uploaded, as submission {twin['reference']} of "
            f"{twin['run']} with public score {twin['lb_public'] or 'unknown'}: make scores refreshes it"
        )
    return {str(column): value for column, value in row.items()}


def _checked_file(row: dict[str, str], submissions: Path, competition: Competition, data_of: DataOf) -> Path:
    path = submissions / f"{row['run']}.csv"
    if not path.is_file():
        raise UserError(f"{path} is not there: run make submit again to write it")
    if row.get("sha256") != file_hash(path):
        raise UserError(
            f"{path} is not the file that {submissions / 'ledger.csv'} has recorded: run make submit again "
            "to write both"
        )
    data = data_of(row["run"], row.get("data", ""))
    check_file(path, data.sample_submission, data.test, competition.submission_format(data.classes))
    return path


def _upload_once(kaggle: Submissions, run: str, sha256: str, path: Path, ledger: Path) -> Submission:
    """Hand the file in, or find it where an earlier call that was cut had handed it in."""
    mark = _mark(sha256)
    state = read_ledger(ledger).set_index("run").at[run, "uploaded"]
    found = kaggle.find_late(mark) if state == UPLOADING else kaggle.find(mark)
    if found is not None and state != UPLOADING:
        update_upload(ledger, run, **_values(found))
        raise UserError(
            f"Kaggle already has {path}, as submission {found.reference} of {found.date}: the ledger now "
            f"holds what Kaggle says about it (public score {found.public or 'not known yet'})"
        )
    if found is not None:
        say(f"an earlier upload of {path} had arrived; it is not sent again")
    else:
        kaggle.require_allowance()
        update_upload(ledger, run, uploaded=UPLOADING)
        try:
            found = kaggle.upload(path, f"{run} {mark}", mark)
        except UserError as error:
            if _is_out(kaggle, error, mark):
                update_upload(ledger, run, uploaded="")
            raise
    update_upload(ledger, run, **_values(found))
    return found


def _is_out(kaggle: Submissions, error: UserError, mark: str) -> bool:
    """Whether Kaggle has certainly not taken the file: it said no, and its list, looked at once more because
    an earlier try may have been cut, does not have the mark."""
    if error.__cause__ is not None and is_refusal(error.__cause__):
        with suppress(UserError):
            return kaggle.find(mark) is None
    return False


def _mark(sha256: str) -> str:
    """The word of a submission's description that tells its file."""
    return f"sha256:{sha256[:16]}"


def _values(found: Submission) -> dict[str, str]:
    return dict(zip(UPLOAD_COLUMNS, (found.date, found.reference, found.public, found.private), strict=True))


def _reason(found: Submission) -> str:
    return found.error or "it gives no reason"


def _line(found: Submission) -> str:
    if found.state == "pending":
        return f"submission {found.reference}, not scored yet: make scores reads the score later"
    return f"submission {found.reference}, public {found.public or '-'}, private {found.private or '-'}"
