"""The command line of every competition: ``python -m competitions.<slug> STAGE [options]``."""

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from types import ModuleType

from pipeline.base.errors import told_to_the_user
from pipeline.base.paths import default_paths
from pipeline.base.stopping import stoppable
from pipeline.competition.base import Competition
from pipeline.config.config import Entry
from pipeline.stages.context import Context
from pipeline.stages.experiments import check_values
from pipeline.stages.options import ComputeOptions, ConfigOptions, SourceOptions
from pipeline.stages.parse import parse
from pipeline.stages.start import NAMES, check_stage, module_name
from pipeline.stages.variants import variants

STAGES: dict[str, ModuleType] = {
    name: import_module(f"pipeline.stages.{module_name(name)}") for name in NAMES
}
"""Each has ``Options``, ``run`` and, where something can be refused before any data is read, ``check``."""


def main(
    competition: Competition, configs: Mapping[str, Entry], arguments: Sequence[str] | None = None
) -> None:
    """Run one stage. Exits with status 2 and one sentence where the user can help it."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    check_stage(competition.slug, arguments)
    with stoppable():
        with told_to_the_user():
            result = _run_stage(competition, configs, arguments[0], tuple(arguments[1:]))
        if result:
            print(result, flush=True)


def _run_stage(
    competition: Competition, configs: Mapping[str, Entry], name: str, arguments: tuple[str, ...]
) -> str:
    stage = STAGES[name]
    # Parsed and checked before any data is fetched, so that a misspelt option costs nothing.
    settings = competition.task.config()
    each = variants(arguments, settings) if name == "compare" else [arguments]
    options, *others = [
        parse(stage.Options, typed, settings, competition.slug, name, stage.__doc__) for typed in each
    ]
    source = options if isinstance(options, SourceOptions) else SourceOptions()
    compute = options if isinstance(options, ComputeOptions) else ComputeOptions()
    context = Context(
        competition=competition,
        configs=configs,
        paths=default_paths(),
        arguments=arguments,
        wanted=source.data,
        raw=source.raw,
        on_bad_image=source.on_bad_image,
        wanted_device=compute.device,
        copies_gb=compute.cache_gb,
    )
    if context.wanted_device != "auto":
        _ = context.device  # one that is not there is told at once
    if isinstance(options, ConfigOptions):
        for typed, own in zip(each, (options, *others), strict=True):
            check_values(own, context.typed(typed), several=name == "compare")
    if hasattr(stage, "check"):
        stage.check(context, options)
    return stage.run(context, options)
