"""A search space: a file of a competition's folder with ``SPACE``, options of an experiment and their
ranges::

from pipeline.search.space import choice, integers, log_uniform, uniform

SPACE = {
    "train.lr": log_uniform(0.01, 1.0),
    "train.label_smoothing": uniform(0.0, 0.2),
    "train.epochs": integers(4, 12),
    "model.name": choice("resnet18", "resnet34"),
}
"""

import math
import runpy
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.base.errors import UserError, name_some
from pipeline.competition.identity import FREE
from pipeline.config.config import Config
from pipeline.config.limits import option

TRIED = 64
"""Points of a space that are made into experiments before any is trained."""


@dataclass(frozen=True)
class Choice:
    """One of several values."""

    values: tuple[Any, ...]

    def draw(self, random: np.random.Generator) -> Any:
        """One of them."""
        return self.values[int(random.integers(len(self.values)))]


@dataclass(frozen=True)
class Number:
    """A number from `low` to `high`.

    Attributes
    ----------
    log : whether its logarithm is drawn evenly.
    whole : whether it is an integer; both ends belong to it.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def draw(self, random: np.random.Generator) -> Any:
        """A value of the range."""
        if self.whole:
            return int(random.integers(int(self.low), int(self.high) + 1))
        if self.log:
            return float(math.exp(random.uniform(math.log(self.low), math.log(self.high))))
        return float(random.uniform(self.low, self.high))


Range = Choice | Number
Space = Mapping[str, Range]


def choice(*values: Any) -> Choice:
    """One of these values; a value may be a tuple. Raises UserError for less than two, or one twice."""
    if len(values) < 2 or any(value in values[:place] for place, value in enumerate(values)):
        raise UserError(f"choice{values} needs two or more different values")
    return Choice(values)


def uniform(low: float, high: float) -> Number:
    """A number between these. Raises UserError unless low < high, both finite."""
    return _number("uniform", low, high)


def log_uniform(low: float, high: float) -> Number:
    """A number between these, each factor as likely as another. Raises UserError unless 0 < low < high."""
    if not low > 0:
        raise UserError(f"log_uniform({low}, {high}) must begin above 0")
    return _number("log_uniform", low, high, log=True)


def integers(low: int, high: int) -> Number:
    """A whole number from low to high, both of them too. Raises UserError unless low < high."""
    if not (type(low) is int and type(high) is int):
        raise UserError(f"integers({low}, {high}) needs two whole numbers")
    return _number("integers", low, high, whole=True)


def _number(name: str, low: float, high: float, log: bool = False, whole: bool = False) -> Number:
    good = all(type(end) in (int, float) and math.isfinite(end) for end in (low, high)) and low < high
    if not good:
        raise UserError(f"{name}({low}, {high}) needs two finite numbers, the lower one first")
    return Number(low, high, log, whole)


def read_space(path: Path) -> Space:
    """The ``SPACE`` of a file, which is run as Python.

    Raises
    ------
    UserError : no such file, one that fails, or one without a dictionary of ranges.
    """
    if not path.is_file():
        raise UserError(
            f"there is no search space {path}: write one (docs/sweep.md), or name it with --space"
        )
    try:
        space = runpy.run_path(str(path)).get("SPACE")
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except Exception as error:
        raise UserError(f"{path} cannot be run ({type(error).__name__}: {error}): correct it") from error
    if not isinstance(space, dict) or not space:
        raise UserError(f"{path} has no dictionary SPACE of options and ranges: write one (docs/sweep.md)")
    wrong = [name for name, value in space.items() if not isinstance(value, Range)]
    if wrong:
        raise UserError(
            f"{path} gives {name_some(wrong)} no range: take choice, uniform, log_uniform or integers"
        )
    return space


def check_space(space: Space, base: Config) -> None:
    """Check a space against the experiment whose options it changes, before anything runs.

    Raises
    ------
    UserError : an option that there is not, that changes no result or which images are validated on, that
        would do nothing, or values that the experiment refuses.
    """
    for name in space:
        _check_name(name, base)
    random, used = np.random.default_rng(0), set()
    for _ in range(TRIED):
        values = {name: one.draw(random) for name, one in space.items()}
        config = changed(base, values)
        unused = {f"{group}.{field}" for group, members in config.unused().items() for field in members}
        used |= set(space) - unused
    idle = [name for name in space if name not in used]
    if idle:
        group, _, field = idle[0].partition(".")
        reason = base.unused().get(group, {}).get(field, "other options of the space switch it off")
        raise UserError(f"{option(group, field)} would do nothing, because {reason}: leave it out of SPACE")


def _check_name(name: str, base: Config) -> None:
    group, _, field = name.partition(".")
    groups = {one.name: getattr(base, one.name) for one in fields(base)}
    if group not in groups or field not in {one.name for one in fields(groups[group])}:
        known = [f"{group}.{one.name}" for one in fields(groups[group])] if group in groups else list(groups)
        raise UserError(f"SPACE has {name!r}, and there is {name_some(known, 40)}")
    if group == "folds":
        raise UserError(
            f"SPACE has {name!r}: what is compared is validated on the same images, so the folds stay"
        )
    if field in FREE.get(group, ()) or name in ("train.seed", "predict.amp"):
        raise UserError(f"SPACE has {name!r}, which makes no experiment better: leave it out")


def changed(base: Config, values: Mapping[str, Any]) -> Config:
    """The experiment with these options, by ``group.field``. Raises UserError as the config does, naming
    them."""
    groups: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        group, _, field = name.partition(".")
        groups.setdefault(group, {})[field] = value
    try:
        return replace(
            base, **{group: replace(getattr(base, group), **members) for group, members in groups.items()}
        )
    except UserError as error:
        raise UserError(f"SPACE has values that do not go together ({told(values)}): {error}") from error


def told(values: Mapping[str, Any]) -> str:
    """Options for people; none are the config as it is."""
    parts = (
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in values.items()
    )
    return ", ".join(parts) or "as it is"
