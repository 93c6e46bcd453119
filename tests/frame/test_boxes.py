"""Broken boxes are mended or dropped, counted and named, with everything that belongs to them."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.base.errors import UserError
from pipeline.frame.boxes import box_array, repair_boxes

GOOD = [10.0, 10.0, 20.0, 30.0]


def frame(*rows: list[list[float]]) -> pd.DataFrame:
    """Images "0", "1", ... of 100 x 50; the box number n of a row has the label "n"."""
    ranges = [range(len(row)) for row in rows]
    return pd.DataFrame(
        {
            "image_id": [str(number) for number in range(len(rows))],
            "width": 100,
            "height": 50,
            "boxes": list(rows),
            "labels": [[str(n) for n in numbers] for numbers in ranges],
            "crowd": [[n % 2 for n in numbers] for numbers in ranges],
            "masks": [[f"mask {n}" for n in numbers] for numbers in ranges],
        }
    )


def test_sound_boxes_stay_and_nothing_is_said(capsys):
    before = frame([GOOD, [0, 0, 100, 50]], [], [[99, 49, 100, 50]])
    pd.testing.assert_frame_equal(repair_boxes(before), before)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "box, message",
    [
        ([5, 5, float("nan"), 9], "with a coordinate that is no finite number, dropped"),
        ([5, 5, float("inf"), 9], "with a coordinate that is no finite number, dropped"),
        ([9, 5, 5, 9], "whose right or lower edge precedes the other, dropped"),
        ([5, 9, 9, 5], "whose right or lower edge precedes the other, dropped"),
        ([5, 5, 5, 9], "under 1 pixel wide or high within the image, dropped"),
        ([5, 5, 9, 5.9], "under 1 pixel wide or high within the image, dropped"),
        ([101, 5, 120, 9], "under 1 pixel wide or high within the image, dropped"),
        ([99.5, 5, 120, 9], "under 1 pixel wide or high within the image, dropped"),
    ],
)
def test_what_cannot_be_mended_is_dropped_with_its_label_and_mask(box, message, capsys):
    repaired = repair_boxes(frame([GOOD], [GOOD, box, GOOD], [box]))
    assert repaired["labels"].tolist() == [["0"], ["0", "2"], []]
    assert repaired["masks"].tolist() == [["mask 0"], ["mask 0", "mask 2"], []]
    assert repaired["crowd"].tolist() == [[0], [0, 0], []]
    assert repaired["boxes"].tolist() == [[GOOD], [GOOD, GOOD], []]
    assert capsys.readouterr().err == f"warning: 2 box(es) {message}: in 1, 2\n"


def test_what_leaves_the_image_is_clipped(capsys):
    repaired = repair_boxes(frame([[-5, -5, 300, 70], GOOD], [[0, 0, 100.004, 50]]))
    assert repaired["boxes"].tolist() == [[[0, 0, 100, 50], GOOD], [[0, 0, 100, 50]]]
    assert capsys.readouterr().err == "warning: 1 box(es) that left the image, clipped to the image: in 0\n"


def test_the_frame_is_left_as_it_is_and_extra_columns_stay():
    before = frame([[-5.0, 0.0, 9.0, 9.0]]).assign(areas=[[81.0]], path="a.jpg")
    after = repair_boxes(before)
    assert before["boxes"].iat[0] == [[-5, 0, 9, 9]]
    assert after["areas"].iat[0] == [81] and after["path"].iat[0] == "a.jpg"


def test_boxes_are_not_cut_to_a_wrong_size(tmp_path):
    Image.new("RGB", (200, 100)).save(tmp_path / "a.png")
    beyond = frame([GOOD, [120, 20, 180, 90]]).assign(path=str(tmp_path / "a.png"))
    with pytest.raises(UserError, match=r"0 \(100 x 50, the file 200 x 100\).*drop\(columns"):
        repair_boxes(beyond)
    repaired = repair_boxes(beyond.drop(columns=["width", "height"]))
    assert repaired["boxes"].iat[0] == [GOOD, [120, 20, 180, 90]]
    assert (repaired["width"].iat[0], repaired["height"].iat[0]) == (200, 100)


def test_a_frame_from_parquet(tmp_path):
    frame([GOOD, [9, 9, 5, 5]], []).to_parquet(tmp_path / "frame.parquet")
    repaired = repair_boxes(pd.read_parquet(tmp_path / "frame.parquet"))
    assert repaired["boxes"].tolist() == [[GOOD], []]
    repaired.to_parquet(tmp_path / "again.parquet")


numbers = st.floats(-200, 200) | st.sampled_from(
    [float("nan"), float("inf"), float("-inf"), 0.0, 50.0, 100.0]
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.lists(numbers, min_size=4, max_size=4), max_size=4), min_size=1, max_size=3))
def test_what_is_left_is_sound_and_a_second_repair_changes_nothing(rows):
    once = repair_boxes(frame(*rows))
    boxes = np.concatenate([box_array(cell) for cell in once["boxes"]])
    assert np.isfinite(boxes).all() and (boxes >= 0).all() and (boxes <= [100, 50, 100, 50]).all()
    assert (boxes[:, 2:] - boxes[:, :2] >= 1).all()
    pd.testing.assert_frame_equal(repair_boxes(once), once)
