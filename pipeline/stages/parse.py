"""Options from the command line, typed; what is wrong with them is one sentence."""

import contextlib
import difflib
import io
import itertools
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
    UserError : an option that the stage, or this competition's task, does not have, or a value of another
        type.
    SystemExit : --help.
    """
    default = options(**({"settings": settings} if "settings" in get_type_hints(options) else {}))
    told = io.StringIO()
    try:
        with contextlib.redirect_stderr(told):
            known, surplus = tyro.cli(
                options,
                args=list(arguments),
                prog=f"python -m competitions.{slug} {stage}",
                description=description,
                default=default,
                return_unknown_args=True,
            )
    except SystemExit as stop:
        if stop.code != 2:  # help was asked for
            raise
        raise UserError(
            f"{_sentence(told.getvalue())}: {stage} of {slug} --help says what is meant"
        ) from None
    if surplus:
        raise UserError(_unknown(surplus, default, slug, stage))
    return known


def _sentence(box: str) -> str:
    """What a box of tyro's says before the first rule in it, which it breaks into lines."""
    lines = [line.strip("│ ") for line in box.splitlines() if line[:1] == "│"]
    text = " ".join(itertools.takewhile(lambda line: line.strip("─"), lines))
    text = (
        " ".join((text or box).split()).removeprefix("Error parsing ").partition(" Got errors")[0].rstrip(".")
    )
    return text.replace(". Expected", ", expected")


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
