"""Plot the loss over rising learning rates on the first fold, and suggest a range. Saves no weights."""

from dataclasses import dataclass

from pipeline.base.errors import UserError
from pipeline.base.progress import say
from pipeline.stages.context import Context
from pipeline.stages.experiments import experiments_of
from pipeline.stages.options import ComputeOptions, ConfigOptions, OutOptions, SourceOptions
from pipeline.training.loop import start, training_step
from pipeline.training.lr_range import plot_range_test, range_test, suggest


@dataclass(frozen=True, kw_only=True)
class Options(ConfigOptions, SourceOptions, OutOptions, ComputeOptions):
    """Plot the loss over rising learning rates on the first fold, and suggest a range. Saves no weights."""


def run(context: Context, options: Options) -> str:
    """Draw the plot.

    Raises
    ------
    UserError : the loss suggests no rate; names the plot, which is drawn all the same.
    """
    experiment = experiments_of(options, context, options.name)[0]
    frame = range_test(training_step(start(experiment.job(experiment.fold_numbers[0]))))
    path = options.out or experiment.run.folder / "lr_find.png"
    try:
        found = suggest(frame)
    except UserError as error:
        plot_range_test(frame, None, path)
        raise UserError(f"{error} (the losses are drawn in {path})") from error
    plot_range_test(frame, found, path)
    say(
        f"suggested: --train.lr {found.lr:.2g}, from {found.low:.2g} to {found.high:.2g} "
        f"(the config has {experiment.config.train.lr:.2g})"
    )
    return f"learning rates: {path}"
