"""Train every fold that is not trained yet."""

from dataclasses import dataclass

from pipeline.experiment.work import train
from pipeline.stages.context import Context
from pipeline.stages.experiments import experiments_of
from pipeline.stages.options import RunOptions
from pipeline.stages.predict import held
from pipeline.stages.workers import crew_of


@dataclass(frozen=True, kw_only=True)
class Options(RunOptions):
    """Train every fold that is not trained yet."""


def run(context: Context, options: Options) -> str:
    """Train."""
    experiments = experiments_of(options, context, options.name, options.track, options.run)
    with held(experiments), crew_of(options, context, experiments) as crew:
        train(experiments, crew)
    return "runs: " + " ".join(str(experiment.run.folder) for experiment in experiments)
