"""The command line of every competition: ``python -m competitions.<slug> STAGE [options]``."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import tyro

from pipeline.base.errors import UserError, told_to_the_user
from pipeline.base.paths import default_paths
from pipeline.base.progress import say
from pipeline.competition.contract import Competition
from pipeline.config.config import Config, Ensemble
from pipeline.experiment.blend import Method
from pipeline.experiment.experiment import Experiment
from pipeline.stages.stages import STAGES, compare
from pipeline.stages.workbench import Workbench, Workshop
from pipeline.track.wandb_log import TrackConfig

_ALL_STAGES = {**STAGES, compare.__name__: compare}


@dataclass(frozen=True)
class Options:
    """Options of every stage; all others override single values of the config."""

    config: str = "auto"
    """Entry of the competition's configs.py; compare takes several, as in a,b. auto: sample on sample data,
    else base with a GPU, fast without."""
    data: Literal["auto", "kaggle", "mirror", "sample"] = "auto"
    """Where raw files come from. auto: the data folder, else Kaggle with credentials, else the generated
    sample."""
    raw: Path | None = None
    """Folder of raw files, only read; instead of --data."""
    out: Path | None = None
    """Also write the stage's result here: the submission, the picture, the exported folder."""
    format: str = "csv"
    """Also write the submission in another of the competition's formats; --out then gets that one."""
    run: str | None = None
    """upload: the run whose file is handed in; the newest one of real data by default."""
    runs: tuple[str, ...] = ()
    """blend: names of finished runs."""
    method: Method | None = None
    """blend: mean; rank: mean of ranks; climb: weights by hill climbing; stack: logistic regression. By
    default climb for classes validated on several folds, else mean."""
    track: TrackConfig = field(default_factory=TrackConfig)
    settings: Annotated[Config, tyro.conf.arg(name="")] = field(default_factory=Config)


def main(
    competition: Competition, configs: Mapping[str, Config | Ensemble], arguments: Sequence[str] | None = None
) -> None:
    """Run one stage. Exits with status 2 and one sentence where the user can help it."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] not in _ALL_STAGES:
        _print_stages(competition.slug, arguments[0] if arguments else None)
    try:
        with told_to_the_user():
            result = _run_stage(competition, configs, arguments[0], arguments[1:])
        if result:
            print(result, flush=True)
    except KeyboardInterrupt:
        say("interrupted: the same command goes on from the last finished epoch")
        sys.exit(130)


def _run_stage(
    competition: Competition, configs: Mapping[str, Config | Ensemble], stage: str, arguments: list[str]
) -> str:
    # Parsed before any data is fetched, so that a misspelt option costs nothing.
    options = _parse(competition.slug, stage, arguments, Config())
    names = _checked_names(options.config, configs, several=stage == "compare")
    chosen_format = _checked_format(options.format, competition)
    workshop = Workshop(competition, default_paths(), options.data, options.raw)
    benches = [
        Workbench(
            workshop,
            partial(_choose, workshop, configs, name, stage, arguments),
            options.track,
            options.out,
            chosen_format,
            options.run,
            options.runs,
            options.method,
        )
        for name in names or [None]
    ]
    return compare(benches) if stage == "compare" else STAGES[stage](benches[0])


def _choose(
    workshop: Workshop,
    configs: Mapping[str, Config | Ensemble],
    name: str | None,
    stage: str,
    arguments: Sequence[str],
) -> tuple[str, list[Experiment]]:
    """The name of an entry of the configs, None for the one that suits the data, and its experiments."""
    name = name or _default_name(workshop)
    entry = configs[name]
    members = entry.members if isinstance(entry, Ensemble) else (entry,)
    experiments = []
    for number, member in enumerate(members, start=1):
        options = _parse(workshop.competition.slug, stage, arguments, member)
        config = options.settings
        if stage == "compare" and config.model.weights and not member.model.pretrained:
            say(f"{name} asks for no pretrained weights and starts without: --model.weights is for others")
            config = replace(config, model=replace(config.model, weights=member.model.weights))
        experiments.append(
            Experiment(
                workshop.competition,
                f"{name}{number}" if isinstance(entry, Ensemble) else name,
                config,
                workshop.source,
                workshop.data,
                workshop.paths,
                workshop.device,
                options.track,
            )
        )
    return name, experiments


def _parse(slug: str, stage: str, arguments: Sequence[str], config: Config) -> Options:
    return tyro.cli(
        Options,
        args=arguments,
        prog=f"python -m competitions.{slug} {stage}",
        description=_ALL_STAGES[stage].__doc__,
        default=Options(settings=config),
    )


def _checked_names(names: str, configs: Mapping[str, Config | Ensemble], several: bool) -> list[str]:
    """The configs asked for, none for auto. Raises UserError for one that does not exist."""
    if names == "auto":
        return []
    chosen = names.split(",")
    if len(chosen) > 1 and not several:
        raise UserError(f"this stage takes one config, not {len(chosen)}: compare takes several")
    for name in chosen:
        if name not in configs:
            raise UserError(f"there is no config {name!r}: choose one of {', '.join(configs)}")
    return chosen


def _checked_format(name: str, competition: Competition) -> str:
    if name != "csv" and name not in competition.other_formats:
        raise UserError(
            f"{competition.slug} has no submission format {name!r}: choose one of "
            f"{', '.join(['csv', *competition.other_formats])}"
        )
    return name


def _default_name(workshop: Workshop) -> str:
    if workshop.source.kind == "sample":
        return "sample"
    return "base" if workshop.device.type == "cuda" else "fast"


def _print_stages(slug: str, given: str | None) -> None:
    """List the stages and exit: 0 where that was asked for, 2 where `given` is none of them."""
    wrong = given not in (None, "-h", "--help")
    stream = sys.stderr if wrong else sys.stdout
    if wrong:
        print(f"error: there is no stage {given!r}\n", file=stream)
    print(f"usage: python -m competitions.{slug} STAGE [options]", file=stream)
    print("STAGE --help lists the options\n", file=stream)
    for name, function in _ALL_STAGES.items():
        print(f"  {name:<10}{(function.__doc__ or '').splitlines()[0]}", file=stream)
    sys.exit(2 if wrong else 0)
