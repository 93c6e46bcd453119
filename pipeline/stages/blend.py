"""Combine finished runs into a new one, honestly scored; the result is a run."""

from dataclasses import dataclass

from pipeline.base.errors import UserError
from pipeline.base.progress import say
from pipeline.delivery.deliver import Finished
from pipeline.experiment.combine import blend_into, chosen_method, finished_run, folds_of, open_combination
from pipeline.stages.context import Context
from pipeline.stages.finish import deliver_again, deliver_run
from pipeline.stages.options import OutOptions, SourceOptions, TrackOptions
from pipeline.stages.submit import check_format


@dataclass(frozen=True, kw_only=True)
class Options(SourceOptions, OutOptions, TrackOptions):
    """Combine finished runs into a new one, honestly scored; the result is a run."""

    runs: tuple[str, ...] = ()
    """Names of finished runs, as in --runs a b c."""
    method: str | None = None
    """mean, and what else the task has, such as rank (mean of ranks), climb (weights by hill climbing) or
    stack (logistic regression). By default what suits the task and the number of folds."""
    format: str = "csv"
    """Also write the submission in another of the competition's formats; --out then gets that one."""


def check(context: Context, options: Options) -> None:
    """Refuse an unknown format, or fewer than two runs, before anything is fetched."""
    check_format(options.format, context.competition)
    if len(set(options.runs)) < 2:
        raise UserError("give at least two finished runs to blend: RUNS='a b', their names under runs/")


def run(context: Context, options: Options) -> str:
    """Blend.

    Raises
    ------
    UserError : a run that is not finished, or that was trained or validated on other images; a method that
        does not suit the task or the folds.
    """
    competition, data = context.competition, context.data
    members = [finished_run(context.runs, name, data) for name in options.runs]
    folds = folds_of(members[0])
    method = chosen_method(options.method, competition, folds.nunique())
    blended = open_combination("blend", members, method, competition, data, context.runs)
    if done := deliver_again(blended, context, options.out, options.format):
        return f"submission: {done}"
    with blended.lock():
        note = blend_into(blended, members, method, competition, data)
    say(f"blend of {len(members)} runs: {note}")
    finished = Finished(
        run=blended,
        config_name="blend",
        config={"members": [member.name for member in members], "method": method},
        config_text="\n".join([note, *(member.name for member in members)]),
        folds=folds,
        histories={},
        minutes=sum((member.summary() or {}).get("minutes", 0.0) for member in members),
    )
    path = deliver_run(finished, context, options.track, options.out, options.format)
    return f"submission: {path}"
