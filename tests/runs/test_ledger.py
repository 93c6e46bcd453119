"""The ledger loses nothing: not to a second process, nor to unknown columns, nor to a broken file."""

import subprocess
import sys
from dataclasses import replace

import pytest

from pipeline.base.errors import UserError
from pipeline.runs.ledger import UPLOAD_COLUMNS, LedgerRow, read_ledger, record, update_upload
from tests.helpers import REPOSITORY

ROW = LedgerRow(
    run="fast-20260101-0123abcd",
    date="2026-01-01T12:00:00",
    config="fast",
    digest="0123abcd",
    git_sha="c0ffee",
    data="kaggle",
    metric="accuracy",
    better="larger",
    cv_score=0.875,
    cv_std=0.0,
    folds=1,
    folds_planned=1,
    rows=10000,
    sha256="ab" * 32,
    minutes=7.5,
)


def test_a_first_row_makes_the_file(tmp_path):
    ledger = tmp_path / "cifar" / "ledger.csv"
    record(ledger, ROW)
    assert ledger.read_text() == (
        "run,date,config,digest,git_sha,data,metric,better,cv_score,cv_std,folds,folds_planned,rows,sha256,minutes,"
        "model,size,changed,note,uploaded,reference,lb_public,lb_private\n"
        "fast-20260101-0123abcd,2026-01-01T12:00:00,fast,0123abcd,c0ffee,kaggle,accuracy,larger,"
        f"0.875,0.0,1,1,10000,{'ab' * 32},7.5,,,,,,,,\n"
    )


def test_no_ledger_reads_as_no_rows(tmp_path):
    assert len(read_ledger(tmp_path / "ledger.csv")) == 0


def test_digests_that_look_like_numbers_stay_text(tmp_path):
    ledger = tmp_path / "ledger.csv"
    record(ledger, replace(ROW, digest="00001234", git_sha="1e5"))
    record(ledger, replace(ROW, run="other"))
    assert read_ledger(ledger)[["digest", "git_sha"]].iloc[0].tolist() == ["00001234", "1e5"]


def test_recording_a_run_again_replaces_its_row_in_place(tmp_path):
    ledger = tmp_path / "ledger.csv"
    for run in ("a", "b", "c"):
        record(ledger, replace(ROW, run=run))
    record(ledger, replace(ROW, run="b", cv_score=0.9))
    rows = read_ledger(ledger)
    assert rows["run"].tolist() == ["a", "b", "c"]
    assert rows["cv_score"].tolist() == ["0.875", "0.9", "0.875"]


def test_a_score_that_is_no_number_is_an_empty_cell(tmp_path):
    ledger = tmp_path / "ledger.csv"
    record(ledger, replace(ROW, cv_score=float("nan"), cv_std=float("inf")))
    assert read_ledger(ledger).loc[0, ["cv_score", "cv_std", "minutes"]].tolist() == ["", "", "7.5"]


def test_columns_this_version_does_not_know_are_kept(tmp_path):
    ledger = tmp_path / "ledger.csv"
    ledger.write_text('run,cv_score,lb_score,note\na,0.8,0.79,"first, and best"\nb,0.7,,\n')
    record(ledger, replace(ROW, run="a"))
    record(ledger, replace(ROW, run="c"))
    rows = read_ledger(ledger).set_index("run")
    assert rows.loc["a", ["cv_score", "lb_score", "note"]].tolist() == ["0.875", "0.79", "first, and best"]
    assert rows.loc["b", ["cv_score", "lb_score", "config"]].tolist() == ["0.7", "", ""]
    assert rows.loc["c", ["cv_score", "lb_score", "config"]].tolist() == ["0.875", "", "fast"]


UPLOADED = dict(zip(UPLOAD_COLUMNS, ("2026-01-02T08:00:00Z", "1000", "0.87100", ""), strict=True))


def test_a_ledger_from_before_uploads_reads_and_is_rewritten_with_their_columns(tmp_path):
    ledger = tmp_path / "ledger.csv"
    ledger.write_text("run,cv_score\na,0.8\nb,0.7\n")
    assert (read_ledger(ledger)[list(UPLOAD_COLUMNS)] == "").all().all()
    update_upload(ledger, "b", **UPLOADED)
    rows = read_ledger(ledger).set_index("run")
    assert rows.loc["b", list(UPLOADED)].to_dict() == UPLOADED
    assert rows.loc["a", list(UPLOADED)].tolist() == [""] * 4
    assert rows["cv_score"].tolist() == ["0.8", "0.7"]


def test_a_ledger_from_before_the_direction_of_scores_is_added_to(tmp_path):
    """Without the column `better` the rows of that time have an empty cell."""
    ledger = tmp_path / "ledger.csv"
    ledger.write_text("run,metric,cv_score,lb_public\na,accuracy_score,0.8,0.79\n")
    record(ledger, ROW)
    update_upload(ledger, "a", lb_public="0.78")
    rows = read_ledger(ledger).set_index("run")
    assert rows["better"].to_dict() == {"a": "", ROW.run: "larger"}
    assert rows.loc["a", ["metric", "cv_score", "lb_public"]].tolist() == ["accuracy_score", "0.8", "0.78"]


def test_a_run_recorded_again_keeps_its_score_only_with_the_same_file(tmp_path):
    ledger = tmp_path / "ledger.csv"
    record(ledger, ROW)
    update_upload(ledger, ROW.run, **UPLOADED)
    record(ledger, replace(ROW, minutes=8.0))
    assert read_ledger(ledger).loc[0, ["minutes", *UPLOADED]].tolist() == ["8.0", *UPLOADED.values()]
    record(ledger, replace(ROW, sha256="cd" * 32))
    assert read_ledger(ledger).loc[0, list(UPLOADED)].tolist() == [""] * 4


def test_an_upload_changes_only_what_it_may(tmp_path):
    ledger = tmp_path / "ledger.csv"
    record(ledger, ROW)
    content = ledger.read_text()
    with pytest.raises(UserError, match=r"ledger\.csv has no run other"):
        update_upload(ledger, "other", lb_public="1")
    with pytest.raises(ValueError, match="cv_score"):
        update_upload(ledger, ROW.run, cv_score="1")
    assert ledger.read_text() == content


def test_columns_of_a_ledger_without_rows_are_kept(tmp_path):
    ledger = tmp_path / "ledger.csv"
    ledger.write_text("run,lb_score\n")
    record(ledger, ROW)
    assert read_ledger(ledger).loc[0, ["run", "lb_score"]].tolist() == [ROW.run, ""]


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "is no readable CSV"),
        (b"\xff\xfe\x00\x81", "is no readable CSV"),
        (b'run,date\n"never closed,1\n2,3', "is no readable CSV"),
        (b"run,date\n1,2\n1,2,3,4\n", "is no readable CSV"),
        (b"<<<<<<< HEAD\nrun,date\n", "has no run column"),
    ],
)
def test_a_corrupt_ledger_is_named_and_left_as_it_is(tmp_path, content, message):
    ledger = tmp_path / "ledger.csv"
    ledger.write_bytes(content)
    with pytest.raises(UserError, match=f"ledger.csv {message}.*; restore it from git or move it away"):
        record(ledger, ROW)
    assert ledger.read_bytes() == content
    assert [path.name for path in tmp_path.glob(".*.csv")] == []


def test_two_processes_at_once_lose_nothing(tmp_path):
    ledger = tmp_path / "ledger.csv"
    program = f"""
import sys
from dataclasses import replace
from pathlib import Path
from pipeline.runs.ledger import LedgerRow, record
row = LedgerRow(**{vars(ROW)!r})
print("ready", flush=True)
sys.stdin.readline()
for number in range(20):
    record(Path(sys.argv[1]), replace(row, run=f"{{sys.argv[2]}}{{number}}"))
"""
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(ledger), name],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for name in "xy"
    ]
    for writer in writers:
        assert writer.stdout.readline() == b"ready\n"
    for writer in writers:
        writer.stdin.write(b"go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate()
        assert writer.returncode == 0
    assert sorted(read_ledger(ledger)["run"]) == sorted(
        f"{name}{number}" for name in "xy" for number in range(20)
    )
