"""Predict with every fold, training what is not trained yet; with --images, any folder of new images."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from pipeline.base.errors import UserError
from pipeline.experiment.experiment import Experiment
from pipeline.experiment.work import Alone, Crew, finish
from pipeline.stages.context import Context
from pipeline.stages.experiments import experiments_of
from pipeline.stages.options import OutOptions, RunOptions
from pipeline.stages.predict_folder import check_folder, predict_folder
from pipeline.stages.workers import crew_of


@dataclass(frozen=True, kw_only=True)
class Options(RunOptions, OutOptions):
    """Predict out-of-fold and test images with every fold, training what is not trained yet; or, with
    --images, any folder of images by a finished run (--run; the newest by default): predictions.csv in the
    submission's format, a picture of each image and a page of them, in --out or in the run's folder."""

    images: Path | None = None
    """Folder of new images, at any depth; nothing is trained."""


def check(context: Context, options: Options) -> None:
    """Refuse options that would do nothing."""
    if options.images is not None:
        check_folder(context, tuple(f"--{group.group}." for group in options.settings.groups()))
    elif options.out is not None:
        raise UserError("--out is where the predictions of --images go: leave it out, or take submit")


def run(context: Context, options: Options) -> str:
    """Train and predict, or predict the folder."""
    if options.images is not None:
        return predict_folder(context, options.images, options.run, options.out, options.on_bad_image)
    experiments = experiments_of(options, context, options.name, options.track, options.run)
    predict_all(experiments, crew=crew_of(options, context, experiments))
    return "runs: " + " ".join(str(experiment.run.folder) for experiment in experiments)


def predict_all(
    experiments: list[Experiment],
    after_fold: Callable[[], None] = lambda: None,
    crew: AbstractContextManager[Crew] | None = None,
) -> None:
    """Train and predict what is missing of each, as far as there is time.

    Parameters
    ----------
    after_fold : called as soon as a fold is predicted.
    crew : who does it; this process by default.
    """
    with held(experiments), crew or nullcontext(Alone()) as workers:
        finish(experiments, after_fold, workers)


@contextmanager
def held(experiments: list[Experiment]) -> Iterator[None]:
    """Hold the runs of all; raises UserError where another process does."""
    with ExitStack() as stack:
        for one in experiments:
            stack.enter_context(one.run.lock())
        yield
