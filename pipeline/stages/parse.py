"""Options from the command line, typed; what is wrong with them is one sentence."""

import difflib
from collections.abc import Sequence
from typing import Any, TypeVar, get_type_hints

import tyro

from pipeline.base.errors import UserError
from pipeline.config.config import Config
from pipeline.stages.options import Options

OptionsT = TypeVar("OptionsT", bound=Options)


def parse(
    options: type[OptionsT],
    arguments: Sequence[str],
    settings: Config,
    slug: str,
    stage: str = "STAGE",
    description: str | None = None,
) -> OptionsT:
    """Read the options of a stage.

    Parameters
    ----------
    settings : the config that the options change, where the stage has one.

    Raises
    ------
    UserError : an option that the stage, or this competition's task, does not have.
    SystemExit : --help, or a value of another type, which tyro tells itself.
    """
    default = options(**({"settings": settings} if "settings" in get_type_hints(options) else {}))
    known, surplus = tyro.cli(
        options,
        args=list(arguments),
        prog=f"python -m competitions.{slug} {stage}",
        description=description,
        default=default,
        return_unknown_args=True,
    )
    if surplus:
        raise UserError(_unknown(surplus, default, slug, stage))
    return known


def _unknown(surplus: Sequence[str], default: Any, slug: str, stage: str) -> str:
    word = next((word for word in surplus if word.startswith("-")), surplus[0]).partition("=")[0]
    close = difflib.get_close_matches(word, _names(default), n=1, cutoff=0.75)
    hint = f"did you mean {close[0]}?" if close else f"{stage} --help lists those there are"
    return f"{stage} of {slug} has no option {word}: {hint}"


def _names(value: Any, prefix: str = "") -> list[str]:
    """All options of a dataclass and the groups in it, as they are typed."""
    found = []
    for name in getattr(value, "__dataclass_fields__", {}):
        inner = getattr(value, name)
        own = prefix if name == "settings" else f"{prefix}{name.replace('_', '-')}"
        if hasattr(inner, "__dataclass_fields__"):
            found += _names(inner, "" if name == "settings" else f"{own}.")
        else:
            found.append(f"--{own}")
    return found
