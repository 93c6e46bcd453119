"""Combine finished runs into a new one, honestly scored; the result is a run."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.base.errors import UserError, name_some
from pipeline.base.progress import say
from pipeline.delivery.deliver import Finished, kept_scores
from pipeline.experiment.combine import blend_into, chosen_method, finished_run, folds_of, open_combination
from pipeline.runs.about import tell_about
from pipeline.runs.run import Run
from pipeline.stages.context import Context
from pipeline.stages.finish import deliver_again, deliver_run, finished_of
from pipeline.stages.options import NoteOptions, OutOptions, SourceOptions, TrackOptions
from pipeline.stages.submit import check_format


@dataclass(frozen=True, kw_only=True)
class Options(SourceOptions, OutOptions, TrackOptions, NoteOptions):
    """Combine finished runs into a new one, honestly scored; the result is a run."""

    runs: tuple[str, ...] = ()
    """Names of finished runs, as in --runs a b c."""
    method: str | None = None
    """mean, and what else the task has, such as rank (mean of ranks), climb (weights by hill climbing) or
    stack (logistic or ridge regression). By default what suits the task and the number of folds."""
    format: str = "csv"
    """Also write the submission in another of the competition's formats; --out then gets that one."""


def check(context: Context, options: Options) -> None:
    """Refuse an unknown format, fewer than two runs, or one of them twice, before anything is fetched."""
    check_format(options.format, context.competition)
    if len(set(options.runs)) < 2:
        raise UserError("give at least two finished runs to blend: RUNS='a b', their names under runs/")
    twice = [name for name, count in Counter(options.runs).items() if count > 1]
    if twice:
        raise UserError(
            f"{name_some(twice)} is named twice: name each run once; climb gives a run its weight"
        )


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
    if done := deliver_again(blended, context, options.out, options.format, options.note):
        return f"submission: {done}"
    if options.note:
        tell_about(blended, note=options.note)
    with blended.lock():
        note = blend_into(blended, members, method, competition, data)
    scores = [_score(member, context) for member in members]
    for member, score in zip(members, scores, strict=True):
        say(f"  {competition.metric.name} {score:.4f}  {member.name}")
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
    _tell_no_gain(kept_scores(finished, competition, data), scores, members, context)
    return f"submission: {path}"


def _score(member: Run, context: Context) -> float:
    """The competition's metric of a member's out-of-fold predictions, with its decisions."""
    return kept_scores(finished_of(member), context.competition, context.data)[
        f"cv_{context.competition.metric.name}"
    ]


def _tell_no_gain(
    made: dict[str, Any], scores: Sequence[float], members: Sequence[Run], context: Context
) -> None:
    """Say where the blend is no better than its best member."""
    metric = context.competition.metric
    best = 0
    for place, score in enumerate(scores):
        best = place if metric.better(score, scores[best]) else best
    mine = made[f"cv_{metric.name}"]
    if not metric.better(mine, scores[best]):
        say(
            f"warning: the blend ({metric.name} {mine:.4f}) is no better than its best member, "
            f"{members[best].name} ({scores[best]:.4f})"
        )
