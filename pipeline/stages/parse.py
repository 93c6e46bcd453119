"""Options from the command line, typed; what is wrong with them is one sentence."""

import contextlib
import difflib
import io
import itertools
import re
from collections.abc import Sequence
from typing import Any, TypeVar, get_type_hints

import tyro

from pipeline.base.errors import UserError
from pipeline.config.config import Config
from pipeline.stages.options import Options
from pipeline.stages.start import BROKEN_PIPE

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
    except BrokenPipeError:  # the help's reader has seen enough
        raise SystemExit(BROKEN_PIPE) from None
    except SystemExit as stop:
        if stop.code != 2:  # help was asked for
            raise
        raise UserError(
            f"{_sentence(told.getvalue())}: {stage} of {slug} --help says what is meant"
        ) from None
    if surplus:
        raise UserError(_valued_flag(surplus, arguments, default) or _unknown(surplus, default, slug, stage))
    return known


def _sentence(box: str) -> str:
    """What a box of tyro's says before the first rule in it, which it breaks into lines."""
    lines = [line.strip("│ ") for line in box.splitlines() if line[:1] == "│"]
    text = " ".join(itertools.takewhile(lambda line: line.strip("─"), lines))
    text = (
        " ".join((text or box).split()).removeprefix("Error parsing ").partition(" Got errors")[0].rstrip(".")
    )
    text = re.sub(r"'([^']{60})[^']{20,}'", r"'\1...'", text)
    return text.replace(". Expected", ", expected")


def _valued_flag(surplus: Sequence[str], arguments: Sequence[str], default: Any) -> str | None:
    """What is said of a value that was given to an option which takes none."""
    flags = {name for name, value in _options(default) if isinstance(value, bool)}
    before = ""
    for argument in arguments:
        name, sign, value = argument.partition("=")
        name = name.replace("_", "-")
        if (name in flags and sign and value in surplus) or (before in flags and argument in surplus):
            flag = name if sign else before
            return f"{flag} takes no value: give {flag}, or {_negated(flag)}"
        before = argument
    return None


def _negated(flag: str) -> str:
    group, dot, name = flag.removeprefix("--").rpartition(".")
    return f"--{group}{dot}no-{name}"


def _unknown(surplus: Sequence[str], default: Any, slug: str, stage: str) -> str:
    word = next((word for word in surplus if word.startswith("-")), surplus[0]).partition("=")[0]
    close = difflib.get_close_matches(word, [name for name, _ in _options(default)], n=1, cutoff=0.75)
    hint = f"did you mean {close[0]}?" if close else f"{stage} --help lists those there are"
    return f"{stage} of {slug} has no option {word}: {hint}"


def _options(value: Any, prefix: str = "") -> list[tuple[str, Any]]:
    """All options of a dataclass and the groups in it, as they are typed, and their values."""
    found = []
    for name in getattr(value, "__dataclass_fields__", {}):
        inner = getattr(value, name)
        own = prefix if name == "settings" else f"{prefix}{name.replace('_', '-')}"
        if hasattr(inner, "__dataclass_fields__"):
            found += _options(inner, "" if name == "settings" else f"{own}.")
        else:
            found.append((f"--{own}", inner))
    return found
