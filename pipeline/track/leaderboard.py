"""The leaderboard page: every ledger in one HTML file that needs neither a network nor a server.

``python -m pipeline.track.leaderboard`` writes it; its layout, style and scripts are the files in ``page/``.
"""

import base64
import datetime
import hashlib
import html
import json
import math
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
import tyro

from pipeline.base.errors import UserError, told_to_the_user
from pipeline.base.files import atomic_path
from pipeline.base.paths import default_paths
from pipeline.runs.ledger import read_ledger

PAGE = Path(__file__).with_name("page")
SCRIPTS = ("base.js", "table.js", "charts.js", "compare.js", "main.js")
NEEDED = ("date", "config", "data", "metric")
"""Columns that every row fills, besides ``run``; all others may be absent or blank."""


def collect(submissions: Path, runs: Path, link: str) -> list[dict[str, Any]]:
    """All boards, as the page shows them: one for each competition and metric that has runs.

    Parameters
    ----------
    submissions : folder of ``<slug>/ledger.csv`` and ``<slug>/<run>.json``.
    runs : folder of ``<slug>/<run>/``, for the reports and for configs whose sidecar is gone.
    link : how the page refers to `runs`.

    Returns
    -------
    Dicts of JSON values: ``name``, ``slug``, ``metric``, ``larger`` (whether larger is better) and ``runs``.

    Raises
    ------
    UserError : no such folder, or a ledger or sidecar that cannot be understood; names the file and its line.
    """
    if not submissions.is_dir():
        raise UserError(f"there is no folder {submissions}: run this in the project, or give --submissions")
    boards = []
    for ledger in sorted(submissions.glob("*/ledger.csv")):
        slug = ledger.parent.name
        by_metric: dict[str, list[dict[str, Any]]] = {}
        for run in _read_runs(ledger):
            run["report"] = _report_link(runs / slug / run["run"], f"{link}/{slug}/{run['run']}")
            run["settings"] = _settings(ledger.parent, runs / slug, run["run"])
            by_metric.setdefault(run["metric"], []).append(run)
        # Scores of different metrics cannot be ranked together, so each metric gets a board of its own.
        for metric, rows in by_metric.items():
            name = slug if len(by_metric) == 1 else f"{slug}: {metric}"
            larger = rows[0]["better"] == "larger"
            boards.append({"name": name, "slug": slug, "metric": metric, "larger": larger, "runs": rows})
    return boards


def _read_runs(ledger: Path) -> list[dict[str, Any]]:
    """The rows of one ledger, checked and with numbers for numbers; None for blanks."""
    table = read_ledger(ledger)
    missing = [column for column in NEEDED if len(table) and column not in table]
    if missing:
        raise UserError(f"{ledger} has no column {missing[0]}; restore it from git or move it away")
    rows: list[dict[str, Any]] = []
    seen: dict[str, int] = {}
    directions: dict[str, tuple[str, int]] = {}
    for line, row in enumerate(table.to_dict("records"), start=2):
        cells = {str(key): "" if pd.isna(value) else value.strip() for key, value in row.items()}
        where = f"{ledger}, line {line} (run {cells['run'] or 'without a name'})"
        rows.append(_checked(cells, where))
        metric, better = rows[-1]["metric"], rows[-1]["better"]
        other, before = directions.setdefault(metric, (better, line))
        if other != better:
            raise UserError(
                f"{where}: {metric} is better {better}, but {other} in line {before}; correct one"
            )
        if seen.setdefault(cells["run"], line) != line:
            raise UserError(f"{where}: line {seen[cells['run']]} has the same run; remove one of them")
    return rows


def _checked(cells: dict[str, str], where: str) -> dict[str, Any]:
    if not cells["run"] or Path(cells["run"]).name != cells["run"] or cells["run"] == "..":
        raise UserError(f"{where}: the run is not a name of a folder; correct it or restore it from git")
    for column in NEEDED:
        if not cells[column]:
            raise UserError(f"{where}: {column} is blank; fill it in or restore the file from git")
    cells["better"] = cells.get("better") or _old_direction(cells["metric"])
    if cells["better"] not in ("larger", "smaller"):
        raise UserError(f"{where}: better is {cells['better']!r}, and must be larger or smaller; correct it")
    try:
        datetime.datetime.fromisoformat(cells["date"])
    except ValueError:
        raise UserError(f"{where}: date {cells['date']!r} is none; write it as 2026-01-31T18:30:00") from None
    texts = ("run", "date", "config", "data", "metric", "better", "git_sha", "reference", "uploaded")
    texts += ("model", "size", "changed", "note")
    numbers = ("cv_score", "cv_std", "folds", "lb_public", "lb_private", "minutes")
    return {column: cells.get(column, "") for column in texts} | {
        column: _number(cells.get(column, ""), column, where) for column in numbers
    }


def _old_direction(metric: str) -> str:
    """What a ledger without the column ``better`` said by the end of the metric's name."""
    ends = {"_score": "larger", "_loss": "smaller", "_error": "smaller"}
    return next((better for end, better in ends.items() if metric.endswith(end)), "")


def _number(text: str, column: str, where: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UserError(
            f"{where}: {column} {text!r} is not a finite number; correct it or restore it from git"
        )
    return value


def _report_link(run: Path, link: str) -> str | None:
    return quote(f"{link}/report.html") if (run / "report.html").is_file() else None


def _settings(submissions: Path, runs: Path, run: str) -> dict[str, Any] | None:
    """The config of `run`, flat, from its sidecar or else its run folder; None where neither is here."""
    for path in (submissions / f"{run}.json", runs / run / "config.json"):
        if path.is_file():
            try:
                about = json.loads(path.read_text())
                # The run folder of an ensemble holds no more than its config.
                return flatten(about.get("config", about) if path.name == "config.json" else about["config"])
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise UserError(
                    f"{path} is no JSON with a config ({error!r}); remove it: predicting again writes it anew"
                ) from error
    return None


def flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested JSON as one level: ``{"train": {"lr": 1}}`` becomes ``{"train.lr": 1}``.

    Entries of a list of objects are numbered from 1, as the members of an ensemble are; a list of plain
    values stays a value, and so does what is empty.
    """
    if isinstance(value, list) and any(isinstance(entry, dict) for entry in value):
        value = {str(number): entry for number, entry in enumerate(value, start=1)}
    if not isinstance(value, dict) or (not value and prefix):
        return {prefix: value}
    flat: dict[str, Any] = {}
    for key, entry in value.items():
        flat |= flatten(entry, f"{prefix}.{key}" if prefix else key)
    return flat


def render(boards: list[dict[str, Any]], made: datetime.datetime) -> str:
    """The page as HTML, with style, scripts and data inside.

    Its content security policy allows these and nothing else, so no name in a ledger can run a script and
    the page can fetch nothing.
    """
    style = (PAGE / "style.css").read_text()
    scripts = "".join((PAGE / name).read_text() for name in SCRIPTS)
    script = f'(() => {{\n"use strict";\n{scripts}}})();\n'
    data = {"made": made.isoformat(timespec="minutes"), "boards": boards}
    # "<" never appears in the data, so that no text in it can end the script element.
    text = json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    page = (PAGE / "page.html").read_text()
    parts = {"POLICY": html.escape(policy), "STYLE": style, "SCRIPT": script, "DATA": text}
    # In one pass over the template, because a part may itself contain what looks like a mark.
    pieces = page.split("@@")
    return "".join(parts[piece] if number % 2 else piece for number, piece in enumerate(pieces))


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def write_leaderboard(submissions: Path, runs: Path, out: Path) -> Path:
    """Write the page to `out`, atomically. Links to reports are relative to it, so all can move together.

    Raises
    ------
    UserError : see `collect`; or `out` cannot be written.
    """
    link = Path(os.path.relpath(runs, out.parent)).as_posix()
    page = render(collect(submissions, runs, link), datetime.datetime.now())
    try:
        with atomic_path(out) as temporary:
            temporary.write_text(page, encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"{out} cannot be written ({error.strerror}); give another file with --out"
        ) from error
    return out


def leaderboard(submissions: Path | None = None, runs: Path | None = None, out: Path | None = None) -> Path:
    """Write all ledgers as one HTML page; open it in any browser.

    Parameters
    ----------
    submissions : folder of the ledgers; default: submissions.
    runs : folder of the runs, whose reports are linked; default: runs.
    out : the page; default: leaderboard.html in the folder of the ledgers.
    """
    paths = default_paths()
    submissions = submissions or paths.submissions
    return write_leaderboard(submissions, runs or paths.runs, out or submissions / "leaderboard.html")


def main(arguments: list[str] | None = None) -> None:
    """Command line. Exits with status 2 and one sentence where the user can help it."""
    with told_to_the_user():
        print(tyro.cli(leaderboard, args=arguments, prog="python -m pipeline.track.leaderboard"))


if __name__ == "__main__":
    main()
