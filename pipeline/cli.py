"""The command line of every competition: ``python -m competitions.<slug> STAGE [options]``."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from pipeline.config import Config, Ensemble
from pipeline.contract import Competition
from pipeline.data.prepare import prepare
from pipeline.data.sources import Source, find_source
from pipeline.device import pick_device
from pipeline.errors import UserError
from pipeline.experiment import Experiment
from pipeline.paths import default_paths
from pipeline.progress import say
from pipeline.stages import STAGES, Workbench
from pipeline.submit import check_sample


@dataclass(frozen=True)
class Options:
    """Options of every stage; all others override single values of the config."""

    config: str = "auto"
    """Entry of the competition's configs.py. auto: sample on sample data, else base with a GPU, fast
    without."""
    data: Literal["auto", "kaggle", "mirror", "sample"] = "auto"
    """Where raw files come from. auto: the data folder, else Kaggle with credentials, else the generated
    sample."""
    raw: Path | None = None
    """Folder of raw files, only read; instead of --data."""
    out: Path | None = None
    """Also write the stage's result here: the submission, the picture, the exported folder."""
    settings: Annotated[Config, tyro.conf.arg(name="")] = field(default_factory=Config)


def main(
    competition: Competition, configs: Mapping[str, Config | Ensemble], arguments: Sequence[str] | None = None
) -> None:
    """Run one stage. Exits with status 2 and one sentence where the user can help it."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] not in STAGES:
        _print_stages(competition.slug, arguments[0] if arguments else None)
    stage, rest = STAGES[arguments[0]], arguments[1:]
    try:
        # Parsed before any data is fetched, so that a misspelt option costs nothing.
        options = _parse(stage.__doc__, competition.slug, arguments[0], rest, Config())
        entry_name = _checked_name(options.config, configs)
        paths = default_paths()
        source = find_source(competition, paths, options.data, options.raw)
        data = prepare(competition, source, paths.data / competition.slug)
        check_sample(
            data.sample_submission, data.test["image_id"], competition.submission_format(data.classes)
        )
        device = pick_device()
        name = entry_name or _default_name(source, device.type)
        entry = configs[name]
        members = entry.members if isinstance(entry, Ensemble) else (entry,)
        experiments = []
        for number, member in enumerate(members, start=1):
            config = _parse(stage.__doc__, competition.slug, arguments[0], rest, member).settings
            member_name = f"{name}{number}" if isinstance(entry, Ensemble) else name
            experiments.append(Experiment(competition, member_name, config, source, data, paths, device))
        result = stage(Workbench(name, experiments, options.out))
        if result:
            print(result, flush=True)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        say("interrupted: the same command goes on from the last finished epoch")
        sys.exit(130)


def _parse(
    description: str | None, slug: str, stage: str, arguments: Sequence[str], config: Config
) -> Options:
    program = f"python -m competitions.{slug} {stage}"
    return tyro.cli(
        Options, args=arguments, prog=program, description=description, default=Options(settings=config)
    )


def _checked_name(name: str, configs: Mapping[str, Config | Ensemble]) -> str | None:
    """The config asked for, None for auto. Raises UserError for one that does not exist."""
    if name == "auto":
        return None
    if name not in configs:
        raise UserError(f"there is no config {name!r}: choose one of {', '.join(configs)}")
    return name


def _default_name(source: Source, device: str) -> str:
    if source.kind == "sample":
        return "sample"
    return "base" if device == "cuda" else "fast"


def _print_stages(slug: str, given: str | None) -> None:
    """List the stages and exit: 0 where that was asked for, 2 where `given` is none of them."""
    wrong = given not in (None, "-h", "--help")
    stream = sys.stderr if wrong else sys.stdout
    if wrong:
        print(f"error: there is no stage {given!r}\n", file=stream)
    print(f"usage: python -m competitions.{slug} STAGE [options]", file=stream)
    print("STAGE --help lists the options\n", file=stream)
    for name, function in STAGES.items():
        print(f"  {name:<10}{(function.__doc__ or '').splitlines()[0]}", file=stream)
    sys.exit(2 if wrong else 0)
