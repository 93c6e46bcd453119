"""Tables of boxes as competitions give them."""

import pandas as pd
import pytest

from pipeline.base.errors import UserError
from pipeline.frame.box_tables import boxes_of, pair_boxes

FOUR = ["x", "y", "w", "h"]


def read(rows, columns, **options):
    return boxes_of(pd.DataFrame(rows, columns=columns, dtype="str"), "t.csv", image="i", **options)


def as_lists(frame: pd.DataFrame) -> dict[str, list]:
    assert [len(one) for one in frame["crowd"]] == [len(one) for one in frame["boxes"]]
    assert [len(one) for one in frame["masks"]] == [len(one) for one in frame["boxes"]]
    pairs = (list(zip(*cells, strict=True)) for cells in zip(frame["boxes"], frame["labels"], strict=True))
    return dict(zip(frame["image_id"], pairs, strict=True))


class TestLayouts:
    @pytest.mark.parametrize(
        ("rows", "columns", "options"),
        [
            (
                [("b", "1", "2", "10", "20"), ("a", "", "", "", ""), ("b", "5.5", "0", "4", "1e1")],
                ["i", *FOUR],
                {"box": FOUR},
            ),
            (
                [("b", "1", "2", "11", "22"), ("a", "", "", "", ""), ("b", "5.5", "0", "9.5", "10")],
                ["i", *FOUR],
                {"box": FOUR, "form": "xyxy"},
            ),
            (
                [("b", "6 12 10 20"), ("a", ""), ("b", "(7.5,5,4,10)")],
                "ib",
                {"box": "b", "form": "centre"},
            ),
            ([("b", "[1, 2, 10, 20]"), ("a", "[]"), ("b", "[5.5, 0.0, 4.0, 10]")], "ib", {"box": "b"}),
            (
                [
                    ("b", "[{'x1': 1, 'y1': 2, 'w': 10, 'h': 20}, {'x1': 5.5, 'y1': 0, 'w': 4, 'h': 10}]"),
                    ("a", "[]"),
                ],
                "ib",
                {"box": "b"},
            ),
        ],
        ids=["four columns", "corners", "centres", "a list in a cell", "all boxes in a cell"],
    )
    def test_every_layout_gives_the_same_boxes(self, rows, columns, options):
        found = read(rows, list(columns), name="dot", **options)
        assert as_lists(found) == {"b": [([1, 2, 11, 22], "dot"), ([5.5, 0, 9.5, 10], "dot")], "a": []}

    def test_each_row_may_have_a_class_and_its_id_a_suffix(self):
        rows = [("a.jpg", "1 1 2 2", "cat"), ("b.jpg", "", "none"), ("a.jpg", "3 3 1 1", "dog")]
        found = read(rows, list("ibc"), box="b", label="c", suffix=".jpg")
        assert as_lists(found) == {"a": [([1, 1, 3, 3], "cat"), ([3, 3, 4, 4], "dog")], "b": []}

    @pytest.mark.parametrize(
        ("row", "options", "message"),
        [
            (("a", "1 2 3", "c"), {}, "data row 1 has '1 2 3' in b, and four numbers"),
            (("a", "1 2 3 x", "c"), {}, "has '1 2 3 x' in b"),
            (("a", "nan 2 3 4", "c"), {}, "has 'nan 2 3 4' in b"),
            (("a", "1 2 3 4", " "), {}, "data row 1 has a box and no c"),
            (("a", "1 2 3 4", "c"), {"suffix": ".jpg"}, "the i 'a' in data row 1 does not end with '.jpg'"),
        ],
    )
    def test_what_makes_no_sense_is_named_by_its_row(self, row, options, message):
        with pytest.raises(UserError, match=message):
            read([row], list("ibc"), box="b", label="c", **options)

    def test_a_box_that_is_blank_in_part_is_refused(self):
        with pytest.raises(UserError, match=r"data row 1 has '1 ,  , 3 , 4' in x, y, w, h"):
            read([("a", "1", "", "3", "4")], ["i", *FOUR], box=FOUR, name="dot")


class TestRaters:
    def test_what_several_raters_drew_of_one_object_is_one_box(self):
        rows = [
            ("a", "0 0 10 10", "x", "r1"),
            ("a", "1 1 11 11", "x", "r2"),
            ("a", "2 2 12 12", "x", "r3"),
            ("a", "0 0 10 10", "y", "r2"),  # another class
            ("a", "0 0 10 10", "x", "r1"),  # a second object by one who has drawn the first
            ("b", "0 0 10 10", "x", "r1"),
            ("b", "40 40 50 50", "x", "r2"),  # too far away
        ]
        found = read(rows, list("ibcr"), box="b", form="xyxy", label="c", rater="r", agree=0.5)
        assert as_lists(found) == {
            "a": [([1, 1, 11, 11], "x"), ([0, 0, 10, 10], "y"), ([0, 0, 10, 10], "x")],
            "b": [([0, 0, 10, 10], "x"), ([40, 40, 50, 50], "x")],
        }

    def test_without_raters_every_row_is_a_box(self):
        found = read([("a", "0 0 1 1")] * 2, list("ib"), box="b", name="x")
        assert len(found["boxes"][0]) == 2


def test_images_without_a_row_have_no_box_only_where_that_is_said(capsys):
    boxes = read([("a", "0 0 1 1")], list("ib"), box="b", name="x")
    images = pd.DataFrame({"image_id": [*"abcdefgh"], "path": [f"{name}.png" for name in "abcdefgh"]})
    found = pair_boxes(boxes, images, "t.csv", "images", absent="empty")
    assert as_lists(found) == {"a": [([0, 0, 1, 1], "x")], **{name: [] for name in "bcdefgh"}}
    assert "7 of 8 images have no row in t.csv" in capsys.readouterr().err
    with pytest.raises(UserError, match="7 of 8 files without labels"):
        pair_boxes(boxes, images, "t.csv", "images")
