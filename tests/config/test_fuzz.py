"""Every option of every task with any value: refused in one sentence that names it, or taken as typed."""

import dataclasses
import importlib
import json
import math
from typing import Any, Literal, get_args, get_origin, get_type_hints

from hypothesis import given
from hypothesis import strategies as st

from pipeline.competition.new import TEMPLATES
from pipeline.config.config import Config
from pipeline.config.limits import Limit, option
from pipeline.stages.parse import parse
from pipeline.stages.train import Options
from tests.fuzzing import WORDS, depths, examples, read_or_refused

VALUES = (
    WORDS
    | st.integers(-2, 10).map(str)
    | st.floats(0, 1).map(str)
    | st.sampled_from(("1e9", "1000000000000", "-1e-300", "True", "off", "auto", "1 2", "1,2"))
)


def config_of(task: str) -> type[Config]:
    return importlib.import_module(f"pipeline.tasks.{task}.config").Config


def options_of(config: type[Config]) -> list[tuple[str, str, Any]]:
    """(group, field, type with its limits) of each option."""
    return [
        (group.group, field.name, get_type_hints(type(group), include_extras=True)[field.name])
        for group in config().groups()
        for field in dataclasses.fields(group)
    ]


def check_value(value: Any, hint: Any, word: str) -> None:
    """A value is finite, within the limits of its field, and what was typed."""
    for one in value if isinstance(value, tuple) else (value,):
        if isinstance(one, bool) or one is None:
            continue
        if isinstance(one, (int, float)):
            limits = [limit for limit in getattr(hint, "__metadata__", ()) if isinstance(limit, Limit)]
            assert math.isfinite(one) and all(limit.least <= one <= limit.most for limit in limits)
            if not isinstance(value, tuple):
                assert one == float(word)
        elif get_origin(hint) is Literal:
            assert one in get_args(hint)
        elif not isinstance(value, tuple):
            assert one == word


OPTIONS = [(task, *one) for task in sorted(TEMPLATES) for one in options_of(config_of(task))]


@depths
def test_options(count):
    @examples(max(12, count // 2))
    @given(st.sampled_from(OPTIONS), VALUES)
    def holds(one, word):
        task, group, name, hint = one
        config, typed = config_of(task), option(group, name)
        found = read_or_refused(
            lambda: parse(Options, [f"{typed}={word}"], config(), "x", "train"), typed.removeprefix("--")
        )
        if found is not None:
            value = getattr(getattr(found.settings, group), name)
            check_value(value, hint, word)
            assert config.from_json(json.loads(json.dumps(found.settings.to_json()))) == found.settings

    holds()
