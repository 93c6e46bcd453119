"""Run several configs, as in --config scratch,probe,fast, or values, as in --train.lr 0.1,0.2, and put their
scores in one table. Each is a run, with its submission and its row of the ledger."""

from dataclasses import dataclass

import pandas as pd

from pipeline.base.files import atomic_path
from pipeline.base.progress import say
from pipeline.delivery.deliver import kept_scores
from pipeline.experiment.combine import folds_of
from pipeline.experiment.experiment import Experiment
from pipeline.runs.about import about_run
from pipeline.runs.run import Run
from pipeline.stages.context import Context
from pipeline.stages.experiments import default_name, experiments_of
from pipeline.stages.finish import deliver_again, deliver_run, finished_of, finished_run, run_of
from pipeline.stages.options import (
    ComputeOptions,
    ConfigOptions,
    NoteOptions,
    OutOptions,
    SourceOptions,
    TrackOptions,
    WorkerOptions,
)
from pipeline.stages.parse import parse
from pipeline.stages.predict import predict_all
from pipeline.stages.variants import variants
from pipeline.stages.workers import crew_of, several_at_once


@dataclass(frozen=True, kw_only=True)
class Options(
    WorkerOptions, ConfigOptions, SourceOptions, OutOptions, TrackOptions, ComputeOptions, NoteOptions
):
    """Run several configs, as in --config scratch,probe,fast, or values, as in --train.lr 0.1,0.2, and put
    their scores in one table. Each is a run, with its submission and its row of the ledger."""


def run(context: Context, options: Options) -> str:
    """Train and score each."""
    names = options.names or [default_name(context)]
    say(f"comparing on {len(context.data.train):,} training images")  # prepared once for all
    # All before any trains, so that an option which does not suit the last one is told at once.
    made: list[tuple[str, list[Experiment]]] = []
    settings = context.competition.task.config()
    for arguments in variants(context.arguments, settings):
        typed = context.typed(arguments)
        own = parse(Options, arguments, settings, context.competition.slug, "compare")
        made += [(name, experiments_of(own, typed, name, own.track)) for name in names]
    if several_at_once(options, context):
        # Rows and submissions are written below, one after the other, of what is predicted here.
        each = {one.run.folder: one for _, experiments in made for one in experiments}.values()
        missing = [one for one in each if one.predicted_folds() != one.fold_numbers]
        if missing:
            predict_all(missing, crew=crew_of(options, context, missing))
    table = pd.DataFrame([_row(name, experiments, context, options) for name, experiments in made])
    path = options.out or context.runs / "comparison.csv"
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False)
    say(table.to_string(index=False, na_rep="-", float_format=lambda value: f"{value:.4f}"))
    _tell_other_images([run_of(experiments, name, context).name for name, experiments in made], context)
    return f"comparison: {path}"


def _row(name: str, experiments: list[Experiment], context: Context, options: Options) -> dict[str, object]:
    """Make a run of it, unless it is one, and say what it scored."""
    chosen = run_of(experiments, name, context)
    if deliver_again(chosen, context, None, "csv", options.note):
        finished = finished_of(chosen)
    else:
        predict_all(experiments)
        finished = finished_run(experiments, name, context)
        deliver_run(finished, context, options.track, None)
    scores = kept_scores(finished, context.competition, context.data)
    folds = scores.pop("folds")
    about = about_run(chosen)
    kind = {"config": name, "changed": about.changed, "model": about.model, "size": about.size}
    return {**kind, **scores, "folds": len(folds), "minutes": round(finished.minutes, 1), "run": chosen.name}


def _tell_other_images(names: list[str], context: Context) -> None:
    """Warn where the scores are of different images, or of other folds of the same: they do not compare."""
    first, *others = [folds_of(Run(context.runs / name)) for name in names]
    for name, folds in zip(names[1:], others, strict=True):
        both = len(folds.index.intersection(first.index))
        if not both == len(folds) == len(first):
            say(
                f"warning: {name} was validated on other images than {names[0]} ({len(folds):,} and "
                f"{len(first):,}, {both:,} of them the same): their scores do not compare"
            )
        elif not folds.loc[first.index].equals(first):
            say(
                f"warning: {name} was split into other folds than {names[0]}: of the same images, but of "
                "networks that learnt from others"
            )
