"""Edit distances, against the usual table."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.metrics.text import levenshtein, mean_levenshtein

steady = settings(derandomize=True, deadline=None)

texts = st.text("abc/ä𝛼", max_size=12)


def slow_distance(one: str, other: str) -> int:
    above = list(range(len(other) + 1))
    for row, a in enumerate(one, 1):
        line = [row]
        for column, b in enumerate(other, 1):
            line.append(min(above[column] + 1, line[-1] + 1, above[column - 1] + (a != b)))
        above = line
    return above[-1]


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [("kitten", "sitting", 3), ("Saturday", "Sunday", 3), ("", "abc", 3), ("abc", "", 3), ("", "", 0)],
)
def test_textbook_examples(one: str, other: str, distance: int):
    assert levenshtein(one, other) == distance


@steady
@given(texts, texts)
def test_distance_equals_the_table(one: str, other: str):
    assert levenshtein(one, other) == levenshtein(other, one) == slow_distance(one, other)


def test_texts_longer_than_a_machine_word():
    one = "InChI=1S/" + "C13H20OS/c1-9(2)8-15-13-6-5-10(3)7-12(13)11(4)14/" * 4
    other = one[:40] + one[47:120] + "xyz" + one[120:]
    assert levenshtein(one, other) == slow_distance(one, other) == 10


def test_the_mean_is_over_rows():
    assert mean_levenshtein(["abc", "kitten"], ["abc", "sitting"]) == 1.5
    assert mean_levenshtein(["kitten", "abc"], ["sitting", "abc"]) == 1.5
    assert mean_levenshtein(["abc"], ["abc"]) == 0
    assert math.isnan(mean_levenshtein([], []))


def test_texts_without_a_partner_are_refused():
    with pytest.raises(ValueError, match="2 true texts and 1 predicted"):
        mean_levenshtein(["a", "b"], ["a"])
