"""Write train_valid_test/ class folders of hard links, for tools that want that layout."""

from dataclasses import dataclass

from pipeline.stages.context import Context
from pipeline.stages.experiments import experiments_of
from pipeline.stages.export_folders import export_class_folders
from pipeline.stages.options import ConfigOptions, OutOptions, SourceOptions


@dataclass(frozen=True, kw_only=True)
class Options(ConfigOptions, SourceOptions, OutOptions):
    """Write train_valid_test/ class folders of hard links, for tools that want that layout."""


def run(context: Context, options: Options) -> str:
    """Write the folders."""
    experiment = experiments_of(options, context, options.name)[0]
    target = options.out or context.paths.data / context.competition.slug / "train_valid_test"
    export_class_folders(context.data, experiment.folds, target)
    return f"folders: {target}"
