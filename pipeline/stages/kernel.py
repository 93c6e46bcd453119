"""Build a Kaggle kernel folder: notebook, metadata, and a dataset of wheels, weights or checkpoints."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

from pipeline.base.errors import UserError
from pipeline.config.config import Config
from pipeline.kernel.bundle import BundleOptions, Training, build_bundle
from pipeline.stages.context import Context
from pipeline.stages.experiments import changed_configs
from pipeline.stages.options import ConfigOptions, TrackOptions


@dataclass(frozen=True, kw_only=True)
class Options(BundleOptions, ConfigOptions, TrackOptions):
    """Options of the bundle; those of the experiment and of wandb are for the stage that the kernel runs. No
    raw files are read here: Kaggle mounts them."""


def check(context: Context, options: Options) -> None:
    """Refuse what no kernel can have."""
    for name in options.names or [one for one in ("fast", "base") if one in context.configs]:
        for config in changed_configs(options, context, name):
            if config.pseudo.run is not None or config.distill.run is not None:
                raise UserError(
                    "a kernel has no earlier runs to learn from: leave out --pseudo and --distill"
                )


def run(context: Context, options: Options) -> str:
    """Build the folder."""
    training = Training(
        configs=context.configs,
        config=options.config,
        arguments=stage_arguments(context.arguments, options.settings),
    )
    return f"kernel: {build_bundle(context.competition, training, options)}"


def stage_arguments(arguments: Sequence[str], settings: Config) -> tuple[str, ...]:
    """Those of the words on the command line that change the experiment or its log, with their values."""
    starts = (*(f"--{one.name}." for one in fields(settings)), "--track.")
    kept, keeping = [], False
    for word in arguments:
        if word.startswith("--"):
            keeping = word.startswith(starts)
        if keeping:
            kept.append(word)
    return tuple(kept)
