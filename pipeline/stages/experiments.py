"""From options to experiments: which entry of the configs, with which values changed."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pipeline.base.errors import UserError, name_some
from pipeline.base.progress import say
from pipeline.config.config import Config, Ensemble, members_of
from pipeline.config.limits import option
from pipeline.experiment.clock import Clock, check_hours
from pipeline.experiment.combine import options_of
from pipeline.experiment.experiment import Experiment
from pipeline.experiment.teachers import refuse_unknown_teachers
from pipeline.networks.weights import check_published
from pipeline.runs.run import Run
from pipeline.stages.context import Context
from pipeline.stages.options import ConfigOptions, NoteOptions, RunOptions, WorkerOptions
from pipeline.stages.parse import parse
from pipeline.stages.workers import check_workers
from pipeline.track.wandb_log import TrackConfig, Tracking


def check_values(options: ConfigOptions, context: Context, several: bool) -> None:
    """Check all that can be checked without any data, for every config that is asked for.

    Parameters
    ----------
    several : whether the stage takes more than one.

    Raises
    ------
    UserError : there is no such config, values that do not go together, an option that would do nothing.
    """
    names = options.names
    if isinstance(options, WorkerOptions):
        check_workers(options)
    if isinstance(options, RunOptions):
        check_hours(options.hours)
        if options.run is not None:
            _refuse_config(options, context)
    if len(names) > 1 and not several:
        raise UserError(f"this stage takes one config, not {len(names)}: compare takes several")
    for name in names:
        if name not in context.configs:
            raise UserError(f"there is no config {name!r}: choose one of {', '.join(context.configs)}")
        changed_configs(options, context, name)
    if not names:
        _check_usual(options, context)


def _refuse_config(options: RunOptions, context: Context) -> None:
    """Raise UserError where options of an experiment are typed beside a run that has its own."""
    own = {"--config", *(f"--{group.group}" for group in options.settings.groups())}
    words = [word.partition("=")[0] for word in context.arguments]
    typed = [word for word in words if word.partition(".")[0] in own]
    if typed:
        raise UserError(f"--run goes on with the options of {options.run}: leave out {name_some(typed)}")


def _check_usual(options: ConfigOptions, context: Context) -> None:
    """Which entry auto means shows once there is data; what suits none of them is refused now."""
    refused: list[UserError] = []
    usual = [name for name in ("sample", "fast", "base") if name in context.configs]
    for name in usual:
        try:
            changed_configs(options, context, name)
        except UserError as error:
            refused.append(error)
    if usual and len(refused) == len(usual):
        raise refused[0]


def changed_configs(options: ConfigOptions, context: Context, name: str) -> list[Config]:
    """The experiments of an entry with what was typed. Raises UserError as `check_values` does."""
    return [_changed(options, context, name, member) for member in members_of(context.configs[name])]


def _changed(options: ConfigOptions, context: Context, name: str, member: Config) -> Config:
    config = parse(type(options), context.arguments, member, context.competition.slug).settings
    if len(options.names) > 1 and config.model.weights and not member.model.pretrained:
        say(f"{name} asks for no pretrained weights and starts without: --model.weights is for others")
        config = replace(config, model=replace(config.model, weights=member.model.weights))
    if not context.competition.may_mirror:
        config = _unmirrored(config, context.arguments)
    refuse_unused(config, context.arguments)
    context.competition.task.check(config)
    refuse_unknown_teachers(config, context.runs)
    return config


MIRRORING = ("augment.horizontal_flip", "augment.vertical_flip", "predict.flip", "predict.vertical_flip")
"""Options that show mirrored images."""


def _unmirrored(config: Config, arguments: Sequence[str]) -> Config:
    """Without mirrored images. Raises UserError where such are asked for, and not only the default."""
    typed = {word.partition("=")[0].replace("_", "-") for word in arguments if word.startswith("--")}
    asked = [full for full in (option(*name.split(".")) for name in MIRRORING) if full in typed]
    asked += ["--augment.vertical-flip"] * config.augment.vertical_flip
    asked += ["--predict.vertical-flip"] * config.predict.vertical_flip
    if asked:
        raise UserError(
            f"{asked[0]} shows mirrored images, in which the competition says that its truth is another "
            "(may_mirror = False): leave it out"
        )
    return replace(config, augment=replace(config.augment, horizontal_flip=False))


def refuse_unused(config: Config, arguments: Sequence[str]) -> None:
    """Raise UserError for an option that was typed and does nothing beside the other choices."""
    typed = {word.partition("=")[0].replace("_", "-") for word in arguments if word.startswith("--")}
    for group, members in config.unused().items():
        for name, reason in members.items():
            full = option(group, name)
            if typed & {full, full.replace(".", ".no-", 1)}:
                raise UserError(f"{full} would do nothing, because {reason}: leave it out")


def experiments_of(
    options: ConfigOptions,
    context: Context,
    name: str | None = None,
    track: TrackConfig | None = None,
    run: str | None = None,
) -> list[Experiment]:
    """The experiment of an entry of the configs, or those of an ensemble's members.

    Parameters
    ----------
    name : the entry; None takes the one that suits the data.
    run : an unfinished run to go on with, whose own config is taken.
    """
    clock = Clock(options.hours if isinstance(options, RunOptions) else None, context.began)
    if run is not None:
        return [replace(_unfinished(context, run, track), note=_note(options), clock=clock)]
    name = name or default_name(context)
    entry = context.configs[name]
    configs = changed_configs(options, context, name)
    _check_weights(configs, name, context)
    found = []
    for number, config in enumerate(configs, start=1):
        label = f"{name}{number}" if isinstance(entry, Ensemble) else name
        made = _experiment(context, label, config, track)
        named = members_of(entry)[number - 1]
        changed = _typed(config, named, context.arguments)
        found.append(replace(made, changed=changed, note=_note(options), clock=clock))
    return found


def _check_weights(configs: Sequence[Config], name: str, context: Context) -> None:
    """Refuse published weights that cannot be had, before any image is read; where a run of this entry is
    finished it may be asked for again, and needs none."""
    if not any(Run(folder).summary() for folder in context.runs.glob(f"{name}*-*")):
        for config in configs:
            check_published(config.model)


def _typed(config: Config, named: Config, arguments: Sequence[str]) -> str:
    """The options that were typed and differ from those of the named config."""
    typed = {word.partition("=")[0].replace("_", "-") for word in arguments if word.startswith("--")}
    before, found = named.to_json(), []
    for group, values in config.to_json().items():
        for name, value in values.items():
            full = option(group, name)
            if typed & {full, full.replace(".", ".no-", 1)} and before[group][name] != value:
                shown = " ".join(map(str, value)) if isinstance(value, list | tuple) else value
                found.append(f"{full} {shown}")
    return " ".join(found)


def _note(options: ConfigOptions) -> str:
    return options.note if isinstance(options, NoteOptions) else ""


def default_name(context: Context) -> str:
    """sample on sample data, else base with a GPU, fast without."""
    if context.source.kind == "sample":
        return "sample"
    return "base" if context.device.type == "cuda" else "fast"


def _unfinished(context: Context, name: str, track: TrackConfig | None) -> Experiment:
    run = Run(context.runs / name)
    if not (run.folder / "config.json").exists():
        raise UserError(f"there is no run {name} in {context.runs}: name one of its folders")
    if run.is_complete():
        raise UserError(f"{name} is finished: the command that made it, without --run, makes a new one")
    about = run.description()
    if "members" in about:
        raise UserError(f"{name} is made of other runs: the command that began it goes on with it")
    if (about.get("train_data"), about.get("test_data")) != (
        context.data.train_identity,
        context.data.test_identity,
    ):
        raise UserError(f"{name} was begun on other data than this: give the same RAW= or DATA=")
    config = options_of(run, context.competition)
    label = name.rpartition("-")[0].rpartition("-")[0]
    return replace(_experiment(context, label, config, track), unfinished=run)


def _experiment(context: Context, label: str, config: Config, track: TrackConfig | None) -> Experiment:
    slug = context.competition.slug
    options: dict[str, Any] = {}
    if track is not None:
        options["listener"] = Tracking(track, slug)
    return Experiment(
        competition=context.competition,
        name=label,
        config=config,
        source_kind=context.source.kind,
        data=context.data,
        paths=context.paths,
        device=str(context.device),
        copies_gb=context.copies_gb,
        **options,
    )
