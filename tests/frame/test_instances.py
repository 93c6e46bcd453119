"""Tables and submissions with a row of run lengths for each object."""

import json

import numpy as np
import pandas as pd
import pytest

from pipeline.base.errors import UserError
from pipeline.frame.instance_rows import InstanceRows
from pipeline.frame.instance_tables import coded_mask, instances_of, masks_of
from pipeline.frame.rle import RunLengths

ROWS = InstanceRows(id_column="i", rle_column="r", suffix=".jpg", apart=True)
TEST = pd.DataFrame({"image_id": ["a", "b"], "height": [3, 3], "width": [4, 4]})
SAMPLE = pd.DataFrame({"i": ["b.jpg", "a.jpg"], "r": ["1 2", ""]})


def table(*rows: tuple[str, ...]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list("irchw")[: len(rows[0])], dtype="str")


class TestTables:
    def test_each_row_is_an_object_with_its_box_and_a_blank_one_is_none(self):
        given = table(("a.jpg", "1 2 4 2"), ("b.jpg", ""), ("a.jpg", "12 1"))
        found = instances_of(given, "t.csv", image="i", rle="r", size=(3, 4), name="ship", suffix=".jpg")
        assert found["image_id"].tolist() == ["a", "b"]
        assert found["boxes"].tolist() == [[[0, 0, 2, 2], [3, 2, 4, 3]], []]
        assert found["labels"].tolist() == [["ship", "ship"], []] and found["crowd"].tolist() == [[0, 0], []]
        first, second = masks_of(found["masks"][0])
        assert first.sum() == 4 and first[:2, :2].all() and second.sum() == 1 and second[2, 3]

    def test_sizes_classes_and_the_order_of_pixels_may_be_told(self):
        given = table(("a", "0 2", "cort", "2", "4"), ("b", "5 1", "astro", "3", "2"))
        runs = RunLengths(order="rows", first=0)
        found = instances_of(given, "t.csv", image="i", rle="r", size=("h", "w"), label="c", runs=runs)
        assert found["boxes"].tolist() == [[[0, 0, 2, 1]], [[1, 2, 2, 3]]]
        assert found["labels"].tolist() == [["cort"], ["astro"]]
        assert [json.loads(cell[0])["size"] for cell in found["masks"]] == [[2, 4], [3, 2]]

    @pytest.mark.parametrize(
        ("rows", "message"),
        [
            ([("a.jpg", ""), ("a.jpg", "1")], "data row 2 has no valid run lengths: 1 numbers"),
            ([("a.jpg", "12 2")], "data row 1 has no valid run lengths: a run ends at 13"),
            ([("a", "1 1")], "the i 'a' in data row 1 does not end with '.jpg'"),
        ],
    )
    def test_what_makes_no_sense_is_named_by_its_row(self, rows, message):
        with pytest.raises(UserError, match=message):
            instances_of(table(*rows), "t.csv", image="i", rle="r", size=(3, 4), name="x", suffix=".jpg")


class TestRows:
    def submitted(self, *rows: tuple[str, str]) -> pd.DataFrame:
        return ROWS.checked(pd.DataFrame(rows, columns=["i", "r"]), SAMPLE, TEST, "s.csv")

    def test_each_mask_has_a_row_and_an_image_without_any_a_blank_one(self):
        masks = np.zeros((2, 3, 4), dtype=bool)
        masks[0, :2, 0] = masks[1, 2, 3] = True
        predictions = pd.DataFrame(
            {"image_id": ["a", "b"], "masks": [[coded_mask(mask)[1] for mask in masks], []]}
        )
        rows = ROWS.rows(predictions)
        assert list(rows.itertuples(index=False, name=None)) == [
            ("a.jpg", "1 2"),
            ("a.jpg", "12 1"),
            ("b.jpg", ""),
        ]
        checked = ROWS.checked(rows, SAMPLE, TEST, "s.csv")
        assert checked["i"].tolist() == ["b.jpg", "a.jpg", "a.jpg"] and checked["r"].tolist()[1:] == [
            "1 2",
            "12 1",
        ]

    def test_a_sample_may_have_several_rows_of_an_image_and_is_made_where_there_is_none(self):
        ROWS.check_sample(pd.concat([SAMPLE, SAMPLE[:1]]), TEST)
        assert ROWS.sample_of(["a", "b"])["r"].tolist() == ["", ""]
        with pytest.raises(UserError, match=r"asks for 1 id\(s\) that have no test image: c.jpg"):
            ROWS.check_sample(pd.DataFrame({"i": ["c.jpg"], "r": [""]}), TEST)

    @pytest.mark.parametrize(
        ("rows", "message"),
        [
            ([("a.jpg", "1 2"), ("a.jpg", "2 2"), ("b.jpg", "")], "a.jpg has masks that overlap"),
            (
                [("a.jpg", "1 2"), ("a.jpg", ""), ("b.jpg", "")],
                "a.jpg has a row without pixels beside others",
            ),
            ([("a.jpg", "12 2"), ("b.jpg", "")], "a.jpg has no valid run lengths"),
            ([("a.jpg", "1 1 2 1"), ("b.jpg", "")], "a.jpg has run lengths that do not survive"),
            ([("a.jpg", "1 1")], r"lacks 1 id\(s\) \(b.jpg\)"),
        ],
    )
    def test_what_an_organiser_would_refuse_is_refused(self, rows, message):
        with pytest.raises(UserError, match=message):
            self.submitted(*rows)
