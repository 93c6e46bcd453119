"""Lists of values: ``--train.lr 0.1,0.2 --model.name resnet18,resnet34`` are four experiments."""

from collections.abc import Sequence
from itertools import product

from pipeline.base.errors import UserError
from pipeline.config.config import Config

WHOLE = ("--folds.use",)
"""Options whose own values may have commas."""


def variants(arguments: Sequence[str], settings: Config) -> list[tuple[str, ...]]:
    """What was typed, once for each combination of the values in lists; as it is where there is no list.

    Raises
    ------
    UserError : a list with an empty place, or with the same value twice.
    """
    groups = tuple(f"--{group.group}." for group in settings.groups())
    choices: list[list[str]] = []
    for place, word in enumerate(arguments):
        name, equals, value = word.partition("=")
        before = arguments[place - 1].partition("=") if place else ("", "", "")
        own = name if equals else before[0] if not before[1] and not word.startswith("--") else ""
        listed = value if equals else word
        if not own.startswith(groups) or own in WHOLE or "," not in listed:
            choices.append([word])
            continue
        values = [one.strip() for one in listed.split(",")]
        if "" in values or len(set(values)) < len(values):
            raise UserError(
                f"{own} {listed} has an empty place or the same value twice: give each value once"
            )
        choices.append([f"{name}={one}" if equals else one for one in values])
    return list(product(*choices))
