"""Which values the fields of a config may hold, written beside each field."""

import math
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from pipeline.base.errors import UserError


@dataclass(frozen=True)
class Limit:
    """Least and greatest value of a number, in a field's annotation: ``Annotated[int, Limit(1, 100)]``."""

    least: float
    most: float = math.inf

    def __str__(self) -> str:
        # Ten digits show the greatest seed as it is.
        least, most = f"{self.least:.10g}", f"{self.most:.10g}"
        return f"at least {least}" if self.most == math.inf else f"from {least} to {most}"


NATURAL, COUNT, SHARE, SEED = Limit(0), Limit(1), Limit(0, 1), Limit(0, 2**32 - 1)


def option(group: str, name: str) -> str:
    """What the command line calls a field."""
    return f"--{group}.{name.replace('_', '-')}"


def check_limits(group: str, config: Any) -> None:
    """Raise UserError where a field of a dataclass is out of its limits or not among its choices.

    None, where a field may be None, is always legal; NaN and infinity never are.
    """
    hints = get_type_hints(type(config), include_extras=True)
    for field in fields(config):
        value = getattr(config, field.name)
        for one in value if isinstance(value, tuple) else (value,):
            _check(option(group, field.name), one, hints[field.name])


def _check(name: str, value: Any, hint: Any) -> None:
    limit = next((one for one in getattr(hint, "__metadata__", ()) if isinstance(one, Limit)), None)
    words = _words(hint)
    if words and value is not None and value not in words and (limit is None or isinstance(value, str)):
        numbers = f", or a number {limit}" if limit else ""
        raise UserError(f"{name} is {value!r}, and must be one of {', '.join(map(str, words))}{numbers}")
    if value is None or isinstance(value, bool | str):
        return
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"{name} is {value}, and must be a finite number")
    if limit and not limit.least <= value <= limit.most:
        raise UserError(f"{name} is {value}, and must be {limit}")


def _words(hint: Any) -> tuple:
    """The values that a type names, alone or beside others, as ``int | Literal["auto"]`` does."""
    if get_origin(hint) is Literal:
        return get_args(hint)
    return tuple(word for part in get_args(hint) for word in _words(part))
