"""Predict out-of-fold and test images with every fold; trains what is not trained yet."""

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.experiment.experiment import Experiment
from pipeline.stages.context import Context
from pipeline.stages.experiments import experiments_of
from pipeline.stages.options import RunOptions


@dataclass(frozen=True, kw_only=True)
class Options(RunOptions):
    """Predict out-of-fold and test images with every fold; trains what is not trained yet."""


def run(context: Context, options: Options) -> str:
    """Train and predict."""
    experiments = experiments_of(options, context, options.name, options.track, options.run)
    predict_all(experiments)
    return "runs: " + " ".join(str(experiment.run.folder) for experiment in experiments)


def predict_all(experiments: list[Experiment], after_fold: Callable[[], None] = lambda: None) -> None:
    """Train and predict what is missing of each.

    Parameters
    ----------
    after_fold : called as soon as a fold is predicted.
    """
    for experiment in experiments:
        with experiment.run.lock():
            experiment.finish(after_fold)
