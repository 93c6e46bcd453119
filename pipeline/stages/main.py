"""The command line of every competition: ``python -m competitions.<slug> STAGE [options]``."""

import sys
from collections.abc import Mapping, Sequence
from types import ModuleType

from pipeline.base.errors import told_to_the_user
from pipeline.base.paths import default_paths
from pipeline.base.stopping import stoppable
from pipeline.competition.base import Competition
from pipeline.config.config import Entry
from pipeline.stages import (
    audit,
    blend,
    class_folders,
    compare,
    data,
    explain,
    export_model,
    folds,
    kernel,
    lr_find,
    predict,
    preview,
    scores,
    submit,
    sweep,
    train,
    upload,
    workspace,
)
from pipeline.stages.context import Context
from pipeline.stages.experiments import check_values
from pipeline.stages.options import ComputeOptions, ConfigOptions, SourceOptions
from pipeline.stages.parse import parse
from pipeline.stages.variants import variants

STAGES: dict[str, ModuleType] = {
    "submit": submit,
    "data": data,
    "folds": folds,
    "audit": audit,
    "preview": preview,
    "lr-find": lr_find,
    "train": train,
    "predict": predict,
    "compare": compare,
    "sweep": sweep,
    "blend": blend,
    "explain": explain,
    "upload": upload,
    "scores": scores,
    "workspace": workspace,
    "class-folders": class_folders,
    "export-model": export_model,
    "kernel": kernel,
}
"""Each has ``Options``, ``run`` and, where something can be refused before any data is read, ``check``."""


def main(
    competition: Competition, configs: Mapping[str, Entry], arguments: Sequence[str] | None = None
) -> None:
    """Run one stage. Exits with status 2 and one sentence where the user can help it."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] not in STAGES:
        _print_stages(competition.slug, arguments[0] if arguments else None)
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
    each = variants(arguments, settings) if stage is compare else [arguments]
    options, *others = [
        parse(stage.Options, typed, settings, competition.slug, name, stage.__doc__) for typed in each
    ]
    source = options if isinstance(options, SourceOptions) else SourceOptions()
    context = Context(
        competition=competition,
        configs=configs,
        paths=default_paths(),
        arguments=arguments,
        wanted=source.data,
        raw=source.raw,
        on_bad_image=source.on_bad_image,
        wanted_device=options.device if isinstance(options, ComputeOptions) else "auto",
    )
    if context.wanted_device != "auto":
        _ = context.device  # one that is not there is told at once
    if isinstance(options, ConfigOptions):
        for typed, own in zip(each, (options, *others), strict=True):
            check_values(own, context.typed(typed), several=stage is compare)
    if hasattr(stage, "check"):
        stage.check(context, options)
    return stage.run(context, options)


def _print_stages(slug: str, given: str | None) -> None:
    """List the stages and exit: 0 where that was asked for, 2 where `given` is none of them."""
    wrong = given not in (None, "-h", "--help")
    stream = sys.stderr if wrong else sys.stdout
    if wrong:
        print(f"error: there is no stage {given!r}\n", file=stream)
    print(f"usage: python -m competitions.{slug} STAGE [options]", file=stream)
    print("STAGE --help lists the options\n", file=stream)
    for name, stage in STAGES.items():
        print(f"  {name:<14}{(stage.__doc__ or '').splitlines()[0]}", file=stream)
    sys.exit(2 if wrong else 0)
