"""Cells of several names, and the names that fill them."""

import pandas as pd
import pytest

from pipeline.base.errors import UserError
from pipeline.frame.submission import SubmissionFormat, Words
from pipeline.frame.values import frame_of, top_names


@pytest.mark.parametrize(
    ("cell", "good"),
    [
        ("rust", True),
        ("rust scab", True),
        ("scab rust", True),
        ("", False),
        ("rust rust", False),
        ("rust  scab", False),
        (" rust", False),
        ("rust,scab", False),
        ("mildew", False),
        ("rust scab complex", False),
    ],
)
def test_words_are_known_different_and_as_many_as_allowed(cell, good):
    column = Words(["complex", "rust", "scab"], least=1, most=2)
    assert column.wrong(pd.Series([cell, "rust"])).tolist() == [not good, False]


def test_no_word_at_all_is_allowed_where_none_is_needed():
    assert Words(["rust", "scab"]).wrong(pd.Series(["", "rust scab"])).tolist() == [False, False]


def test_a_missing_cell_is_refused_and_numbers_count_as_their_digits():
    assert Words(["1", "2"]).wrong(pd.Series([1, None, "1 2"], dtype=object)).tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("column", "text"),
    [
        (Words(["a", "b"], least=1, most=2), "1 to 2 different names separated by blanks, of a, b"),
        (Words(["a", "b"], least=2, most=2), "2 different names separated by blanks, of a, b"),
        (Words(["a", "b"]), "0 or more different names separated by blanks, of a, b"),
    ],
)
def test_a_refusal_says_what_is_allowed(column, text):
    test = pd.DataFrame({"image_id": ["7"]})
    sample = pd.DataFrame({"image": ["7"], "labels": ["a"]})
    with pytest.raises(UserError, match=text):
        SubmissionFormat("image", {"labels": column}).checked(
            sample.assign(labels="a c"), sample, test, "file"
        )


def test_top_names_come_in_order_and_ties_by_column():
    frame = frame_of(["1", "2"], pd.DataFrame([[0.1, 0.7, 0.2], [0.4, 0.2, 0.4]]).to_numpy(), ["c", "a", "b"])
    assert top_names(frame, ["c", "a", "b"], 2) == [["a", "b"], ["c", "b"]]
    assert top_names(frame, ["c", "a", "b"], 5) == [["a", "b", "c"], ["c", "b", "a"]]
