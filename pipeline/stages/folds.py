"""Assign folds, check them for leaks, and count the images in each."""

from dataclasses import dataclass

from pipeline.base.progress import say
from pipeline.stages.context import Context
from pipeline.stages.experiments import experiments_of
from pipeline.stages.options import ConfigOptions, SourceOptions


@dataclass(frozen=True, kw_only=True)
class Options(ConfigOptions, SourceOptions):
    """Assign folds, check them for leaks, and count the images in each."""


def run(context: Context, options: Options) -> str:
    """Count the images of each fold."""
    for experiment in experiments_of(options, context, options.name):
        counts = experiment.folds["fold"].value_counts().sort_index()
        for fold, count in counts.items():
            say(f"{'always trained on' if fold == -1 else f'fold {fold}'}: {count:,} images")
    return f"folds: {context.paths.data / context.competition.slug / 'folds'}"
