"""Cells of boxes: what is written can be read again, and what the organiser would refuse is found."""

import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.base.errors import UserError
from pipeline.delivery.submission import check_file, write_submission
from pipeline.frame.submission import SubmissionFormat
from pipeline.tasks.detection.columns import BoxString, format_boxes, parse_boxes

IDS = {"person": 1, "brush": 90}
RULE = BoxString([1, 90])


def wrong(*cells: object) -> list[bool]:
    return RULE.wrong(pd.Series(list(cells), dtype=object)).tolist()


def test_a_cell_is_compact():
    boxes = [[10, 20.5, 30.126, 40], [-0.001, 0, 600.1, 1e5]]
    assert format_boxes(["brush", "person"], np.float32([0.9, 0.123456789]), boxes, IDS) == (
        "90 0.9 10 20.5 20.13 19.5 1 0.12346 0 0 600.1 100000"
    )
    assert format_boxes([], [], [], IDS) == ""


coordinates = st.floats(-1e4, 1e4, width=32)
sides = st.floats(0, 5e3, width=32)
boxes = st.tuples(
    st.sampled_from(sorted(IDS)), st.floats(0, 1, width=32), coordinates, coordinates, sides, sides
)


@settings(max_examples=150, deadline=None)
@given(st.lists(boxes, max_size=5))
def test_what_is_written_is_allowed_and_comes_back(rows):
    labels, scores = [row[0] for row in rows], [row[1] for row in rows]
    corners = np.array([[x, y, x + w, y + h] for *_, x, y, w, h in rows]).reshape(-1, 4)
    cell = format_boxes(labels, scores, corners, IDS)
    assert wrong(cell) == [False]
    categories, back_scores, back = parse_boxes(cell)
    assert categories.tolist() == [IDS[label] for label in labels]
    np.testing.assert_allclose(back_scores, scores, rtol=5.01e-5, atol=1e-300)
    # An edge moves by half a hundredth, and by one more where the box would have vanished.
    np.testing.assert_allclose(back, corners, atol=0.0151)
    thick = (corners[:, 2:] - corners[:, :2] > 0.02).all(axis=1)
    np.testing.assert_allclose(back[thick], corners[thick], atol=0.00501)


@pytest.mark.parametrize("box", [[5, 5, 5, 9], [5, 5, 5.001, 5.001], [5, 5, 5, 5]])
def test_no_box_vanishes(box):
    cell = format_boxes(["person"], [0.5], [box], IDS)
    assert wrong(cell) == [False] and all(float(word) > 0 for word in cell.split()[4:])


@pytest.mark.parametrize(
    "label, score, box, message",
    [
        ("cow", 0.5, [0, 0, 1, 1], "no category id for 'cow'"),
        ("person", 1.01, [0, 0, 1, 1], "score 1.01"),
        ("person", float("nan"), [0, 0, 1, 1], "score nan"),
        ("person", 0.5, [0, 0, float("inf"), 1], "inverted or not finite"),
        ("person", 0.5, [2, 0, 1, 1], "inverted or not finite"),
    ],
)
def test_what_cannot_be_written(label, score, box, message):
    with pytest.raises(ValueError, match=message):
        format_boxes([label], [score], [box], IDS)


@pytest.mark.parametrize(
    "cell",
    [
        None,
        float("nan"),
        7,
        "1 0.5 0 0 1",
        "1 0.5 0 0 1 1 1",
        "2 0.5 0 0 1 1",
        "1.0 0.5 0 0 1 1",
        "-1 0.5 0 0 1 1",
        "person 0.5 0 0 1 1",
        "1 1.1 0 0 1 1",
        "1 -0.1 0 0 1 1",
        "1 nan 0 0 1 1",
        "1 0.5 0 0 0 1",
        "1 0.5 0 0 1 -1",
        "1 0.5 inf 0 1 1",
        "1 0.5 1e999 0 1 1",
        "1 0.5 0 0 1 --1",
        "1 0.5 0 0 1 1_0",
        "1 0.5 0 0 1 0x1",
        "1 0.5 0 0 1 1\n",
        "1,0.5,0,0,1,1",
        "1 0.5 0 0 1 1 1 0.5 0 0 1 0",
    ],
)
def test_what_is_not_allowed(cell):
    assert wrong("", cell, "90 1 -5 0 1e2 0.01") == [False, True, False]


def test_a_submission_with_empty_cells_reaches_the_disk_and_is_accepted_from_it(tmp_path):
    form = SubmissionFormat("image_id", {"boxes": RULE})
    sample = pd.DataFrame({"image_id": ["1", "2"], "boxes": ["", ""]}, dtype="str")
    good = pd.DataFrame({"image_id": ["2", "1"], "boxes": ["1 0.5 0 0 1 1", ""]})
    write_submission(good, sample, sample, form, tmp_path / "s.csv")
    check_file(tmp_path / "s.csv", sample, sample, form)
    with pytest.raises(UserError, match=r"the first '1 0.5' at id 2; it must be empty or groups .* 1, 90"):
        write_submission(good.replace("1 0.5 0 0 1 1", "1 0.5"), sample, sample, form, tmp_path / "s.csv")


def test_a_whole_test_set_is_checked_in_seconds():
    """40,000 cells of seven boxes, as many as COCO's test set has: the time grows with their number alone."""
    cell = " ".join(["90 0.51234 101.25 20.5 33.75 41.01"] * 7)
    values = pd.Series([cell] * 39_999 + [cell + " 1 0.5 0 0 1 0"])
    started = time.process_time()
    bad = RULE.wrong(values)
    assert np.flatnonzero(bad).tolist() == [39_999] and len(bad) == 40_000
    assert time.process_time() - started < 20


def test_parsing_refuses_other_texts():
    for text in ("1 0.5 0 0 1", "a 0.5 0 0 1 1", "1 x 0 0 1 1"):
        with pytest.raises(ValueError, match=r"numbers|convert|invalid"):
            parse_boxes(text)
