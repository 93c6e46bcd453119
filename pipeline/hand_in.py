"""A finished run on its way out: the files, the log, and Kaggle."""

import os
from collections.abc import Callable
from pathlib import Path

from pipeline.deliver import Finished, deliver
from pipeline.ledger import read_ledger
from pipeline.progress import say
from pipeline.runs import read_frame
from pipeline.track.wandb_log import Tracker
from pipeline.upload import refresh_scores, should_upload
from pipeline.upload import upload as upload_run
from pipeline.workbench import Workbench


def hand_in(bench: Workbench, whole: Finished) -> Path:
    """Write, record, log and, where the data came from Kaggle, upload a finished run."""
    first = bench.experiments[0]
    submissions = first.paths.submissions / first.competition.slug
    with whole.run.lock():
        delivered = deliver(whole, first.competition, first.data, first.source, submissions)
        path = delivered.path
        if bench.format != "csv":
            other = first.competition.other_formats[bench.format]
            path = path.with_suffix(other.suffix)
            other.write(read_frame(whole.run.folder / "test.parquet"), first.data, path)
        tracker = Tracker(first.track, first.competition.slug, whole.run.name, whole.run.folder)
        checkpoints = sorted(whole.run.folder.glob("fold*/last.pt"))
        ledger = read_ledger(submissions / "ledger.csv")
        tracker.summary(
            whole.config, delivered.facts, delivered.pictures, delivered.path, checkpoints, ledger
        )
    if should_upload(first.source.kind, os.environ):
        say(_upload(bench, whole.run.name))
    return path


def _tell_wandb(bench: Workbench) -> Callable[[str, dict[str, str]], None]:
    """Function that adds the organiser's scores to a run's log."""
    first = bench.experiments[0]

    def tell(run: str, values: dict[str, str]) -> None:
        folder = first.paths.runs / first.competition.slug / run
        ledger = read_ledger(first.paths.submissions / first.competition.slug / "ledger.csv")
        cv_score = ledger.set_index("run").at[run, "cv_score"]
        tracker = Tracker(first.track, first.competition.slug, run, folder)
        tracker.scores(score_facts(values, cv_score))

    return tell


def upload(bench: Workbench) -> str:
    """Hand a run's file in on Kaggle (the newest of real data, or --run), and wait for its score."""
    return _upload(bench, bench.run)


def _upload(bench: Workbench, run: str | None) -> str:
    first = bench.experiments[0]
    submissions = first.paths.submissions / first.competition.slug
    return upload_run(first.competition, first.data, run, submissions, on_score=_tell_wandb(bench))


def scores(bench: Workbench) -> str:
    """Ask Kaggle for the scores of all uploaded runs and write them to the ledger."""
    first = bench.experiments[0]
    submissions = first.paths.submissions / first.competition.slug
    changed = refresh_scores(first.competition, submissions, _tell_wandb(bench))
    for row in changed:
        say(f"{row['run']}: public {row['lb_public'] or '-'}, private {row['lb_private'] or '-'}")
    return f"scores: {submissions / 'ledger.csv'} ({len(changed)} changed)"


def score_facts(values: dict[str, str], cv_score: str) -> dict[str, str | float]:
    """A ledger row's `UPLOAD_COLUMNS` with the scores as numbers, which charts need, and ``cv_lb_gap``, the
    CV minus the public score."""
    facts: dict[str, str | float] = {**values}
    facts |= {name: float(values[name]) for name in ("lb_public", "lb_private") if values[name]}
    if cv_score and values["lb_public"]:
        facts["cv_lb_gap"] = float(cv_score) - float(values["lb_public"])
    return facts
