"""Run several configs, as in --config scratch,probe,fast, and put their scores in one table."""

from dataclasses import dataclass

import pandas as pd

from pipeline.base.files import atomic_path
from pipeline.base.progress import say
from pipeline.delivery.deliver import kept_scores
from pipeline.stages.context import Context
from pipeline.stages.experiments import default_name, experiments_of
from pipeline.stages.finish import finished_run
from pipeline.stages.options import ComputeOptions, ConfigOptions, OutOptions, SourceOptions, TrackOptions
from pipeline.stages.predict import predict_all


@dataclass(frozen=True, kw_only=True)
class Options(ConfigOptions, SourceOptions, OutOptions, TrackOptions, ComputeOptions):
    """Run several configs, as in --config scratch,probe,fast, and put their scores in one table."""


def run(context: Context, options: Options) -> str:
    """Train and score each."""
    names = options.names or [default_name(context)]
    # All before any trains, so that an option which does not suit the last config is told at once.
    made = {name: experiments_of(options, context, name, options.track) for name in names}
    rows = []
    for name, experiments in made.items():
        predict_all(experiments)
        finished = finished_run(experiments, name, context)
        scores = kept_scores(finished, context.competition, context.data)
        del scores["folds"]
        row = {"config": name, **scores, "minutes": round(finished.minutes, 1), "run": finished.run.name}
        rows.append(row)
    table = pd.DataFrame(rows)
    path = options.out or context.runs / "comparison.csv"
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False)
    say(table.to_string(index=False, float_format=lambda value: f"{value:.4f}"))
    return f"comparison: {path}"
