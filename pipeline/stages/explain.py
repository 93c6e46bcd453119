"""Say on a page what a run did: its data, folds, options, scores and warnings. Reads no image."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pipeline.base.errors import UserError, name_some
from pipeline.base.page import section, write_page
from pipeline.base.parts import Part, Table
from pipeline.base.progress import said_of, say
from pipeline.config.config import Config, members_of
from pipeline.experiment.combine import options_of
from pipeline.runs.about import about_run
from pipeline.runs.curves import curves
from pipeline.runs.ledger import read_ledger
from pipeline.runs.run import Run, read_frame, read_json
from pipeline.stages.context import Context
from pipeline.stages.options import OutOptions

PAGE = "explained.html"
"""In the run's folder."""


@dataclass(frozen=True, kw_only=True)
class Options(OutOptions):
    """Say on a page what a run did: its data, folds, options, scores and warnings."""

    run: str | None = None
    """The run; by default the newest."""


def run(context: Context, options: Options) -> str:
    """Write the page, and say the most of it.

    Raises
    ------
    UserError : there is no such run.
    """
    chosen = _chosen(context, options.run)
    with_parts = [*_parts(context, chosen)]
    title = f"{context.competition.slug}: what {chosen.name} did"
    page = write_page(options.out or chosen.folder / PAGE, title, map(section, with_parts))
    for name, value in _facts(context, chosen):
        say(f"{name}: {value}")
    return f"explained: {page}"


def _chosen(context: Context, name: str | None) -> Run:
    there = {path.parent.name: path.stat().st_mtime for path in context.runs.glob("*/config.json")}
    if name is None and there:
        name = max(there, key=lambda one: there[one])
    if name not in there:
        known = f"there are {name_some(sorted(there))}" if there else "make submit makes one"
        raise UserError(f"there is no run {name or 'yet'} in {context.runs}: {known}")
    return Run(context.runs / name)


def _facts(context: Context, chosen: Run) -> Iterator[tuple[str, object]]:
    about, summary, described = about_run(chosen), chosen.summary(), chosen.description()
    yield "run", chosen.name
    yield "state", "finished" if summary else "not finished: the command that began it goes on with it"
    yield "begun with", str(about) or "nothing that is known"
    yield "commit", about.git_sha or (summary or {}).get("git_sha", "not known")
    yield "data", described.get("data") or (summary or {}).get("data", "not known")
    metric = context.competition.metric
    if summary:
        better = "larger" if metric.larger_is_better else "smaller"
        yield f"CV {metric.name} ({better} is better)", summary.get(f"cv_{metric.name}")
        yield "scores of its folds", summary.get("folds")
        yield "minutes", summary.get("minutes")
        yield "rows of the submission", summary.get("rows")
    ledger = read_ledger(context.submissions / "ledger.csv")
    for row in ledger[ledger["run"] == chosen.name].to_dict("records"):
        shown = {
            name: row[name] for name in ("uploaded", "reference", "lb_public", "lb_private") if row[name]
        }
        yield "on Kaggle", ", ".join(f"{name} {value}" for name, value in shown.items()) or "not uploaded"
    warnings = said_of(chosen.folder)
    yield "warnings", len(warnings)


def _parts(context: Context, chosen: Run) -> Iterator[Part]:
    yield Table(title="The run", heads=("what", "value"), rows=list(_facts(context, chosen)))
    if warnings := said_of(chosen.folder):
        yield Table(title="Warnings", heads=("warning",), rows=[(one,) for one in warnings])
    if continued := read_json(chosen.folder / "continued.json"):
        rows = [(one.get("date"), "; ".join(one.get("changes", ()))) for one in continued]
        yield Table(title="Went on under other code", heads=("when", "what had changed"), rows=rows)
    members = chosen.members()
    if members:
        rows = [(member.name, str(about_run(member))) for member in members]
        yield Table(title="Made of", heads=("run", "begun with"), rows=rows)
        return
    yield from _folds(chosen)
    histories = _histories(chosen)
    if histories:
        yield curves(histories, context.competition.metric.name)
    config = options_of(chosen, context.competition)
    yield from _options(context, chosen, config)


def _folds(chosen: Run) -> Iterator[Part]:
    path = chosen.folder / "folds.parquet"
    if not path.exists():
        return
    counts = read_frame(path)["fold"].value_counts().sort_index()
    rows = []
    for fold, count in counts.items():
        number = int(str(fold))
        history = _history(chosen, number)
        done = (
            "always learnt from"
            if number < 0
            else f"trained, {len(history)} epochs"
            if len(history)
            else "not trained"
        )
        last = history.iloc[-1] if len(history) else {}
        rows.append((number, int(count), done, last.get("loss"), last.get("valid_loss"), last.get("score")))
    heads = ("fold", "images", "state", "last loss", "last validation loss", "last score")
    yield Table(title="Folds", heads=heads, rows=rows)


def _histories(chosen: Run) -> dict[str, pd.DataFrame]:
    numbers = sorted(int(path.parent.name[4:]) for path in chosen.folder.glob("fold*/history.csv"))
    return {f"fold {number}": _history(chosen, number) for number in numbers}


def _history(chosen: Run, fold: int) -> pd.DataFrame:
    path = chosen.fold(fold) / "history.csv"
    return pd.read_csv(path) if path.exists() else pd.DataFrame()


def _options(context: Context, chosen: Run, config: Config) -> Iterator[Part]:
    """What differs from the named config of today, and all options."""
    label = chosen.name.rpartition("-")[0].rpartition("-")[0]
    entry = context.configs.get(label)
    if entry is not None:
        changes = config.changes_from(members_of(entry)[0])
        rows = [tuple(change.split(" ", 1)) for change in changes]
        yield Table(
            title=f"Options that differ from the config {label} of today",
            heads=("option", "there -> in this run"),
            rows=rows,
            note="" if rows else "None.",
        )
    values: list[tuple[str, Any]] = [
        (f"--{group}.{name.replace('_', '-')}", str(value))
        for group, members in config.to_json().items()
        for name, value in members.items()
    ]
    yield Table(title="All options", heads=("option", "value"), rows=values)
