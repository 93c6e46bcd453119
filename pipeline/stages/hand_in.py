"""A finished run on its way out: the files, the log, and Kaggle."""

import os
from collections.abc import Callable
from pathlib import Path

from pipeline.base.errors import UserError
from pipeline.base.progress import say
from pipeline.delivery.deliver import Finished, copy_out, deliver
from pipeline.delivery.upload import refresh_scores, should_upload
from pipeline.delivery.upload import upload as upload_run
from pipeline.runs.ledger import read_ledger
from pipeline.runs.run import all_checkpoints, read_frame
from pipeline.stages.workbench import Workbench
from pipeline.track.wandb_log import Tracker


def hand_in(bench: Workbench, whole: Finished) -> Path:
    """Write, record and log a finished run, and copy its file to where the user wants it.

    Raises
    ------
    UserError : the submission would be refused by the organiser, or the copy cannot be written.
    """
    first = bench.experiments[0]
    with whole.run.lock():
        delivered = deliver(whole, first.competition, first.data, first.source, bench.submissions)
        path = delivered.path
        if bench.format != "csv":
            other = first.competition.other_formats[bench.format]
            path = path.with_suffix(other.suffix)
            other.write(read_frame(whole.run.folder / "test.parquet"), first.data, path)
        tracker = Tracker(bench.track, first.competition.slug, whole.run.name, whole.run.folder)
        weights = all_checkpoints(whole.run) if bench.track.artifacts == "all" else []
        ledger = read_ledger(bench.submissions / "ledger.csv")
        tracker.summary(whole.config, delivered.facts, delivered.pictures, delivered.path, weights, ledger)
    if bench.out:
        copy_out(path, bench.out)
    return path


def upload_unasked(bench: Workbench, run: str) -> None:
    """Upload a finished run where its data came from Kaggle. What keeps it from that is told and no error:
    the run is finished, and `upload` can be called later."""
    if not should_upload(bench.workshop.source.kind, os.environ):
        return
    if reference := _reference(bench, run):
        say(f"uploaded before, as submission {reference}")
        return
    try:
        say(_upload(bench, run))
    except UserError as error:
        say(f"warning: {error}" if _reference(bench, run) else f"not uploaded: {error}")


def _reference(bench: Workbench, run: str) -> str:
    """Kaggle's number of a run's submission, empty where there is none."""
    return read_ledger(bench.submissions / "ledger.csv").set_index("run").at[run, "reference"]


def _tell_wandb(bench: Workbench) -> Callable[[str, dict[str, str]], None]:
    """Function that adds the organiser's scores to a run's log."""
    slug = bench.workshop.competition.slug

    def tell(run: str, values: dict[str, str]) -> None:
        folder = bench.workshop.paths.runs / slug / run
        cv_score = read_ledger(bench.submissions / "ledger.csv").set_index("run").at[run, "cv_score"]
        Tracker(bench.track, slug, run, folder).scores(score_facts(values, cv_score))

    return tell


def upload(bench: Workbench) -> str:
    """Hand a run's file in on Kaggle (the newest of real data, or --run), and wait for its score."""
    return _upload(bench, bench.run)


def _upload(bench: Workbench, run: str | None) -> str:
    workshop = bench.workshop
    return upload_run(
        workshop.competition, workshop.data_of, run, bench.submissions, on_score=_tell_wandb(bench)
    )


def scores(bench: Workbench) -> str:
    """Ask Kaggle for the scores of all uploaded runs and write them to the ledger."""
    changed = refresh_scores(bench.workshop.competition, bench.submissions, _tell_wandb(bench))
    for row in changed:
        say(f"{row['run']}: public {row['lb_public'] or '-'}, private {row['lb_private'] or '-'}")
    return f"scores: {bench.submissions / 'ledger.csv'} ({len(changed)} changed)"


def score_facts(values: dict[str, str], cv_score: str) -> dict[str, str | float]:
    """A ledger row's `UPLOAD_COLUMNS` with the scores as numbers, which charts need, and ``cv_lb_gap``, the
    CV minus the public score."""
    facts: dict[str, str | float] = {**values}
    facts |= {name: float(values[name]) for name in ("lb_public", "lb_private") if values[name]}
    if cv_score and values["lb_public"]:
        facts["cv_lb_gap"] = float(cv_score) - float(values["lb_public"])
    return facts
