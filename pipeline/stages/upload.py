"""Hand a run's file in on Kaggle (the newest of real data, or --run), and wait for its score."""

import os
from collections.abc import Callable
from dataclasses import dataclass

from pipeline.base.errors import UserError
from pipeline.base.progress import say
from pipeline.delivery.upload import should_upload
from pipeline.delivery.upload import upload as upload_run
from pipeline.runs.ledger import read_ledger
from pipeline.stages.context import Context
from pipeline.stages.options import SourceOptions, TrackOptions
from pipeline.track.wandb_log import TrackConfig, Tracker


@dataclass(frozen=True, kw_only=True)
class Options(SourceOptions, TrackOptions):
    """Hand a run's file in on Kaggle (the newest of real data, or --run), and wait for its score."""

    run: str | None = None
    """The run whose file is handed in; the newest one of real data by default."""


def run(context: Context, options: Options) -> str:
    """Upload."""
    return _upload(context, options.track, options.run)


def _upload(context: Context, track: TrackConfig, run: str | None) -> str:
    return upload_run(
        context.competition,
        context.data_of,
        run,
        context.submissions,
        on_score=score_teller(context, track),
    )


def upload_unasked(context: Context, track: TrackConfig, run: str) -> None:
    """Upload a finished run where its data came from Kaggle. What keeps it from that is told and no error:
    the run is finished, and `upload` can be called later."""
    if not should_upload(context.source.kind, os.environ):
        return
    if reference := _reference(context, run):
        say(f"uploaded before, as submission {reference}")
        return
    try:
        say(_upload(context, track, run))
    except UserError as error:
        say(f"warning: {error}" if _reference(context, run) else f"not uploaded: {error}")


def _reference(context: Context, run: str) -> str:
    """Kaggle's number of a run's submission, empty where there is none."""
    return str(read_ledger(context.submissions / "ledger.csv").set_index("run").at[run, "reference"])


def score_teller(context: Context, track: TrackConfig) -> Callable[[str, dict[str, str]], None]:
    """Function that adds the organiser's scores to a run's log."""
    slug = context.competition.slug

    def tell(run: str, values: dict[str, str]) -> None:
        ledger = read_ledger(context.submissions / "ledger.csv").set_index("run")
        cv_score = str(ledger.at[run, "cv_score"])
        Tracker(track, slug, run, context.runs / run).scores(score_facts(values, cv_score))

    return tell


def score_facts(values: dict[str, str], cv_score: str) -> dict[str, str | float]:
    """A ledger row's `UPLOAD_COLUMNS` with the scores as numbers, which charts need, and ``cv_lb_gap``, the
    CV minus the public score."""
    facts: dict[str, str | float] = {**values}
    facts |= {name: float(values[name]) for name in ("lb_public", "lb_private") if values[name]}
    if cv_score and values["lb_public"]:
        facts["cv_lb_gap"] = float(cv_score) - float(values["lb_public"])
    return facts
