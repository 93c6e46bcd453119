"""Train every fold that is not trained yet."""

from dataclasses import dataclass

from pipeline.stages.context import Context
from pipeline.stages.experiments import experiments_of
from pipeline.stages.options import RunOptions


@dataclass(frozen=True, kw_only=True)
class Options(RunOptions):
    """Train every fold that is not trained yet."""


def run(context: Context, options: Options) -> str:
    """Train."""
    experiments = experiments_of(options, context, options.name, options.track, options.run)
    for experiment in experiments:
        with experiment.run.lock():
            experiment.train()
    return "runs: " + " ".join(str(experiment.run.folder) for experiment in experiments)
