"""Everything, from raw files to a validated submission file, its report and its ledger row."""

from dataclasses import dataclass

from pipeline.base.errors import UserError
from pipeline.competition.base import Competition
from pipeline.stages.context import Context
from pipeline.stages.experiments import default_name, experiments_of
from pipeline.stages.finish import deliver_again, deliver_run, finished_run, run_of
from pipeline.stages.options import OutOptions, RunOptions
from pipeline.stages.predict import predict_all
from pipeline.stages.so_far import SoFar
from pipeline.stages.upload import upload_unasked
from pipeline.stages.workers import crew_of


@dataclass(frozen=True, kw_only=True)
class Options(RunOptions, OutOptions):
    """Everything, from raw files to a validated submission file, its report and its ledger row."""

    format: str = "csv"
    """Also write the submission in another of the competition's formats; --out then gets that one."""


def check(context: Context, options: Options) -> None:
    """Refuse an unknown format before anything is fetched."""
    check_format(options.format, context.competition)


def run(context: Context, options: Options) -> str:
    """Train, predict, score, write."""
    experiments = experiments_of(options, context, options.name, options.track, options.run)
    name = experiments[0].name if options.run else options.name or default_name(context)
    chosen = run_of(experiments, name, context)
    path = deliver_again(chosen, context, options.out, options.format, options.note)
    if path is None:
        so_far = SoFar(experiments, name, context, options.out)
        predict_all(experiments, so_far.deliver, crew_of(options, context, experiments))
        finished = finished_run(experiments, name, context)
        path = deliver_run(finished, context, options.track, options.out, options.format)
    upload_unasked(context, options.track, chosen.name)  # last: what Kaggle says is no part of the result
    return f"submission: {path}"


def check_format(name: str, competition: Competition) -> None:
    """Raise UserError where the competition has no such format."""
    if name != "csv" and name not in competition.other_formats:
        raise UserError(
            f"{competition.slug} has no submission format {name!r}: choose one of "
            f"{', '.join(['csv', *competition.other_formats])}"
        )
