"""What the leaderboard page is made of, and its server; a browser tests how it behaves."""

import datetime
import json
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.base.errors import UserError
from pipeline.runs.ledger import read_ledger
from pipeline.track.leaderboard import collect, flatten, main, render, write_leaderboard
from tests.helpers import REPOSITORY
from tests.track.project import Project, make_project

HEADER = "run,date,config,digest,git_sha,data,metric,better,cv_score,cv_std,folds,rows,sha256,minutes\n"
GOOD = (
    "fast-20261122-9c211fc5,2026-11-22T02:15:27,fast,9c211fc5,2076915fd83b,folder,accuracy,larger,0.8478,0.0,1,9,"
    "dd,8.93\n"
)


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    return make_project(tmp_path_factory.mktemp("project"))


def ledger_of(folder: Path, text: str, slug: str = "birds") -> Path:
    ledger = folder / "submissions" / slug / "ledger.csv"
    ledger.parent.mkdir(parents=True)
    ledger.write_text(text)
    return ledger.parents[1]


def data_of(page: str) -> dict:
    return json.loads(re.search(r'<script type="application/json" id="json">(.*?)</script>', page, re.S)[1])


def test_every_row_of_every_ledger_is_there_with_its_numbers(project):
    boards = {board["name"]: board for board in collect(project.submissions, project.runs, "../runs")}
    assert {name: (board["metric"], board["larger"]) for name, board in boards.items()} == {
        "birds": ("accuracy", True),
        "leaves": ("log_loss", False),
    }
    for slug, rows in project.rows.items():
        got = [
            (run["run"], run["cv_score"], run["cv_std"], run["folds"], run["minutes"])
            for run in boards[slug]["runs"]
        ]
        spreads = [None if math.isnan(row.cv_std) else row.cv_std for row in rows]
        assert got == [
            (row.run, row.cv_score, spread, row.folds, row.minutes)
            for row, spread in zip(rows, spreads, strict=True)
        ]
    written = read_ledger(project.submissions / "birds" / "ledger.csv")["lb_public"]
    assert [run["lb_public"] for run in boards["birds"]["runs"]] == [
        float(score) if score else None for score in written
    ]


def test_reports_are_linked_only_where_they_exist(project):
    runs = collect(project.submissions, project.runs, "../runs")[0]["runs"]
    for run in runs:
        exists = (project.runs / "birds" / run["run"] / "report.html").exists()
        assert run["report"] == (f"../runs/birds/{run['run']}/report.html" if exists else None)
    assert {run["report"] is None for run in runs} == {True, False}


def test_links_are_relative_to_where_the_page_lies(project, tmp_path):
    for out in (project.submissions / "leaderboard.html", tmp_path / "some where" / "page.html"):
        write_leaderboard(project.submissions, project.runs, out)
        links = [run["report"] for run in data_of(out.read_text())["boards"][0]["runs"] if run["report"]]
        assert links and all((out.parent / link).resolve().is_file() for link in links)


def test_configs_come_from_the_sidecar_or_the_run_folder(tmp_path):
    submissions = ledger_of(tmp_path, HEADER + GOOD)
    runs = tmp_path / "runs"

    def settings():
        return collect(submissions, runs, "runs")[0]["runs"][0]["settings"]

    assert settings() is None
    folder = runs / "birds" / "fast-20261122-9c211fc5"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"members": ["a", "b"], "fingerprint": "f"}')  # an ensemble's
    assert settings() == {"members": ["a", "b"], "fingerprint": "f"}
    (folder / "config.json").write_text('{"config": {"train": {"lr": 0.5}}, "data": "d"}')
    assert settings() == {"train.lr": 0.5}
    sidecar = submissions / "birds" / "fast-20261122-9c211fc5.json"
    sidecar.write_text('{"config": {"train": {"lr": 1}}}')
    assert settings() == {"train.lr": 1}
    for text in ('{"config": ', "{}", "[]"):
        sidecar.write_text(text)
        with pytest.raises(UserError, match=r"birds/fast-20261122-9c211fc5.json is no JSON with a config"):
            settings()


def test_flatten():
    nested = {"a": {"b": 1, "c": {"d": None, "e": []}}, "f": [1, 2], "g": [{"h": 3}, {"h": 4}], "i": {}}
    flat = {"a.b": 1, "a.c.d": None, "a.c.e": [], "f": [1, 2], "g.1.h": 3, "g.2.h": 4, "i": {}}
    assert flatten(nested) == flat
    assert flatten({}) == {}


def test_two_metrics_in_one_ledger_are_two_boards(tmp_path):
    other = GOOD.replace("fast-", "slow-").replace("accuracy,larger", "rmse,smaller")
    boards = collect(ledger_of(tmp_path, HEADER + GOOD + other), tmp_path / "runs", "runs")
    assert [(board["name"], board["larger"], len(board["runs"])) for board in boards] == [
        ("birds: accuracy", True, 1),
        ("birds: rmse", False, 1),
    ]


@pytest.mark.parametrize(
    ("metric", "larger"), [("accuracy_score", True), ("log_loss", False), ("x_error", False)]
)
@pytest.mark.parametrize("column", [True, False])
def test_rows_from_before_there_was_a_direction_say_it_by_the_metrics_name(tmp_path, metric, larger, column):
    """A new row beside them gives the old ones a blank cell."""
    header, row = HEADER, GOOD.replace("accuracy,larger", f"{metric},")
    if not column:
        header, row = header.replace("better,", ""), row.replace(f"{metric},,", f"{metric},")
    (board,) = collect(ledger_of(tmp_path, header + row), tmp_path / "runs", "runs")
    assert (board["metric"], board["larger"]) == (metric, larger)


def test_old_ledgers_and_blank_cells_are_read_as_blank(tmp_path):
    short = "run,date,config,data,metric,cv_score,cv_std\na,2026-01-02,fast,kaggle,x_error,0.5,\n"
    (run,) = collect(ledger_of(tmp_path, short), tmp_path, "runs")[0]["runs"]
    assert [run[key] for key in ("cv_score", "cv_std", "folds", "minutes", "lb_public", "lb_private")] == [
        0.5,
        *[None] * 5,
    ]
    assert run["git_sha"] == run["reference"] == run["uploaded"] == ""


@pytest.mark.parametrize("text", [None, HEADER])
def test_without_runs_there_is_a_page_without_boards(tmp_path, text):
    (tmp_path / "submissions").mkdir()
    if text:
        ledger_of(tmp_path / "more", text)
    folder = tmp_path / "more" / "submissions" if text else tmp_path / "submissions"
    page = write_leaderboard(folder, tmp_path / "runs", tmp_path / "page.html")
    assert data_of(page.read_text())["boards"] == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            HEADER + GOOD + GOOD.replace("fast-", "a-").replace("0.8478", "good"),
            r"line 3 \(run a-.*cv_score 'good'",
        ),
        (HEADER + GOOD.replace("0.8478", "nan"), r"line 2 .*cv_score 'nan' is not a finite number"),
        (HEADER + GOOD.replace("2026-11-22T02:15:27", "yesterday"), r"line 2 .*date 'yesterday'"),
        (
            HEADER + GOOD.replace("larger", "more"),
            r"line 2 .*better is 'more', and must be larger or smaller",
        ),
        (HEADER + GOOD.replace("larger", ""), r"line 2 .*better is '', and must be larger or smaller"),
        (
            HEADER + GOOD + GOOD.replace("fast-", "a-").replace("larger", "smaller"),
            r"line 3 \(run a-.*accuracy is better smaller, but larger in line 2",
        ),
        (HEADER + GOOD + GOOD, r"line 3 .*line 2 has the same run"),
        (HEADER + "<<<<<<< HEAD\n" + GOOD, r"line 2 \(run <<<<<<< HEAD\): date is blank"),
        (HEADER + GOOD.replace("fast-20261122-9c211fc5", "../../secret"), r"line 2 .*not a name of a folder"),
        (HEADER + GOOD.replace("fast-20261122-9c211fc5", ""), r"line 2 \(run without a name\)"),
        (HEADER + GOOD.strip() + ",surplus\n" + GOOD, r"ledger.csv"),
        (HEADER.replace("metric,", "") + GOOD.replace("accuracy,", ""), r"has no column metric"),
        ("name,score\na,1\n", r"has no run column"),
        ("", r"no readable CSV"),
    ],
)
def test_a_malformed_ledger_is_named_with_its_line_and_nothing_is_written(tmp_path, text, message, capsys):
    submissions = ledger_of(tmp_path, text)
    out = tmp_path / "page.html"
    with pytest.raises(SystemExit) as stop:
        main(["--submissions", str(submissions), "--runs", str(tmp_path / "runs"), "--out", str(out)])
    error = capsys.readouterr().err
    assert stop.value.code == 2 and not out.exists()
    assert error.startswith(f"error: {submissions / 'birds' / 'ledger.csv'}") and error.count("\n") == 1
    assert re.search(message, error)


def test_a_missing_folder_and_an_unwritable_page_are_user_errors(project, tmp_path):
    with pytest.raises(UserError, match="nowhere: run this in the project"):
        write_leaderboard(tmp_path / "nowhere", tmp_path, tmp_path / "page.html")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        write_leaderboard(project.submissions, project.runs, tmp_path / "file" / "page.html")


def test_no_text_in_a_ledger_ends_the_data(tmp_path):
    evil = "</script><script>alert(1)</script><!-- @@STYLE@@"
    row = GOOD.replace(",fast,", f",{evil},")
    page = render(collect(ledger_of(tmp_path, HEADER + row), tmp_path, "runs"), datetime.datetime(2026, 1, 2))
    assert page.count("</script>") == 2 and "alert(1)</script>" not in page
    assert data_of(page)["boards"][0]["runs"][0]["config"] == evil


def test_the_page_names_nothing_outside_itself(project):
    page = render(collect(project.submissions, project.runs, "../runs"), datetime.datetime(2026, 1, 2))
    assert set(re.findall(r"https?://[^\"'\s]+", page)) == {
        "http://www.w3.org/2000/svg"
    }  # a name, not fetched
    assert "@@" not in page and not re.search(r"<(link|script|img)[^>]+(src|href)=\"(?!data:)", page)


def test_the_command_writes_beside_the_ledgers(project):
    command = [sys.executable, "-m", "pipeline.track.leaderboard"]
    root = project.submissions.parent
    done = subprocess.run(
        command, cwd=root, env={"PYTHONPATH": str(REPOSITORY)}, capture_output=True, text=True, check=True
    )
    assert done.stdout == "submissions/leaderboard.html\n"
    assert len(data_of((root / "submissions" / "leaderboard.html").read_text())["boards"]) == 2
