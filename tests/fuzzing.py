"""What the fuzzers share: how many examples there are, and what may come of one."""

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from pipeline.base.errors import UserError

T = TypeVar("T")
LONGEST = 1500
"""Letters of a sentence that somebody still reads."""
depths = pytest.mark.parametrize(
    "count", [pytest.param(25, id="quick"), pytest.param(400, id="deep", marks=pytest.mark.slow)]
)
"""How many examples; the deep ones are for `make test-slow`."""


def examples(count: int) -> settings:
    """The same examples every time."""
    return settings(
        max_examples=count,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


@contextmanager
def little_memory(more: int = 4 << 30) -> Iterator[None]:
    """Inside, this process may take `more` bytes: an allocation that a few bytes of a file ask for fails."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + more, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def read_or_refused(read: Callable[[], T], *names: object) -> T | None:
    """What `read` returns, or None where it refuses, in one sentence that says each of `names`."""
    try:
        with little_memory():
            return read()
    except UserError as error:
        sentence = str(error)
        assert 10 < len(sentence) < LONGEST, sentence
        assert [name for name in map(str, names) if name not in sentence] == [], sentence
        return None


@st.composite
def damaged(draw: st.DrawFn, sound: bytes) -> bytes:
    """`sound` with a few bytes changed, put in, repeated or left out."""
    content = bytearray(sound)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(0, len(content) - 1)))
        kind = draw(st.sampled_from(("change", "insert", "cut", "remove", "repeat")))
        if kind == "change" and content:
            content[place] = draw(st.integers(0, 255))
        elif kind == "insert":
            content[place:place] = draw(st.binary(max_size=8))
        elif kind == "cut":
            del content[place:]
        elif kind == "remove":
            del content[place : place + draw(st.integers(1, 20))]
        else:
            content[place:place] = content[place : place + draw(st.integers(1, 40))]
    return bytes(content)


WORDS = st.one_of(
    st.sampled_from(
        (
            "",
            " ",
            "0",
            "-0",
            "-1",
            "1e400",
            "nan",
            "inf",
            "-inf",
            "NaN",
            "1_0",
            "0x1",
            "1,5",
            "٣",
            "None",
            "true",
        )
    ),
    st.integers().map(str),
    st.floats().map(str),
    st.text(max_size=6),
    st.sampled_from(("9" * 25, "9" * 5000, "a" * 300)),
)
"""Texts where numbers or names are expected."""
VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-3, 20),
        st.sampled_from((2**31, 2**63, -(2**63), 10**25, 10**400)),
        st.floats(),
        WORDS,
    ),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(("size", "counts", "id", "x")), inner, max_size=3)
    ),
    max_leaves=6,
)
"""Any JSON, large numbers, NaN and infinity included."""
