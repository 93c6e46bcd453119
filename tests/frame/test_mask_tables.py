"""Tables of run lengths as competitions give them, and rows of submissions."""

import numpy as np
import pandas as pd
import pytest

from pipeline.base.errors import UserError
from pipeline.frame.mask_rows import MaskRows
from pipeline.frame.mask_tables import pair_masks, run_lengths_of
from pipeline.frame.rle import RunLengths

FISH = ["Fish", "Sugar"]


def as_lists(frame: pd.DataFrame) -> dict[str, list[str]]:
    return dict(zip(frame["image_id"], frame["masks"], strict=True))


class TestTables:
    @pytest.mark.parametrize(
        ("table", "options"),
        [
            (
                {"i": ["a", "b", "a"], "c": ["Sugar", "Fish", "Fish"], "r": ["1 2", "3 1", "5 1"]},
                {"label": "c"},
            ),
            (
                {"i": ["a_Sugar", "b_Fish", "a_Fish", "b_Sugar"], "r": ["1 2", "3 1", "5 1", "-1"]},
                {"split": "_"},
            ),
            ({"i": ["a", "b"], "Fish": ["5 1", "3 1"], "Sugar": ["1 2", "-"]}, {"rle": None}),
            (
                {
                    "i": ["a", "b", "a", "a"],
                    "c": ["Sugar", "Fish", "Fish", "Sugar"],
                    "r": ["2 1", "3 1", "5 1", "1 1"],
                },
                {"label": "c"},
            ),
        ],
        ids=["a row for each class", "class in the id", "a column for each class", "a row for each object"],
    )
    def test_every_layout_gives_the_same_masks(self, table, options):
        found = run_lengths_of(pd.DataFrame(table), FISH, "t.csv", image="i", **{"rle": "r", **options})
        assert as_lists(found) == {"a": ["5 1", "1 2"], "b": ["3 1", ""]}

    def test_an_underscore_or_a_suffix_in_the_id_is_no_class(self):
        table = pd.DataFrame({"i": ["x_1.jpg_Fish"], "r": ["1 1"]})
        found = run_lengths_of(table, FISH, "t.csv", image="i", rle="r", split="_", suffix=".jpg")
        assert as_lists(found) == {"x_1": ["1 1", ""]}

    @pytest.mark.parametrize(
        ("rows", "options", "message"),
        [
            ([("a_Fsh", "1 1")], {"split": "_"}, r"data row 1 has the class 'Fsh', and the classes are Fish"),
            ([("a_Fish", "1 x")], {"split": "_"}, r"data row 1 has no valid run lengths: 'x' is no whole"),
            ([("a_Fish", "1")], {"split": "_"}, r"data row 1 has no valid run lengths: 1 numbers"),
            ([("a_Fish", "1 1")], {"split": "_", "suffix": ".jpg"}, r"'a' in data row 1 does not end"),
            ([("a", "1 1")], {}, r"2 classes share the column r: name label= or split="),
        ],
    )
    def test_what_makes_no_sense_is_named_by_its_row(self, rows, options, message):
        table = pd.DataFrame(rows, columns=["i", "r"])
        with pytest.raises(UserError, match=message):
            run_lengths_of(table, FISH, "t.csv", image="i", rle="r", **options)

    def test_images_without_a_row_have_no_mask_only_where_that_is_said(self, capsys):
        masks = pd.DataFrame({"image_id": ["a"], "masks": [["1 1", ""]]})
        images = pd.DataFrame({"image_id": [*"abcdefgh"], "path": [f"{name}.png" for name in "abcdefgh"]})
        found = pair_masks(masks, images, "t.csv", "images", absent="empty")
        assert as_lists(found) == {"a": ["1 1", ""], **{name: ["", ""] for name in "bcdefgh"}}
        assert "7 of 8 images have no row in t.csv" in capsys.readouterr().err
        with pytest.raises(UserError, match="7 of 8 files without labels"):
            pair_masks(masks, images, "t.csv", "images")


class TestRows:
    test = pd.DataFrame({"image_id": ["x_1", "y"], "height": [4, 3], "width": [5, 2]})
    masks = np.zeros((2, 3, 2), dtype=bool)

    def form(self, **options) -> MaskRows:
        return MaskRows(**options).of(FISH)

    def test_the_ways_that_rows_are_written(self):
        masks = self.masks.copy()
        masks[1, 0] = True
        dash = RunLengths(order="rows", first=0, empty="-")
        assert self.form(runs=dash).rows("y", masks) == [("y_Fish", "-"), ("y_Sugar", "0 2")]
        named = self.form(key="{image}.jpg_{label}", labels=("1", "2"))
        assert named.rows("y", masks) == [("y.jpg_1", ""), ("y.jpg_2", "1 1 4 1")]
        columns = self.form(key="{image}", class_column="class")
        assert columns.columns == ["id", "class", "rle"]
        assert columns.rows("y", masks) == [("y", "Fish", ""), ("y", "Sugar", "1 1 4 1")]

    def test_masks_may_be_handed_in_at_one_size_of_their_own(self):
        form, masks = self.form(size=(2, 2)), np.zeros((2, 4, 4), dtype=bool)
        masks[1, :2, 2:] = True
        masks[1, 3, 0] = True  # a quarter of a pixel
        rows = form.rows("x_1", masks) + form.rows("y", masks[:, :2])
        assert dict(rows) == {"x_1_Fish": "", "x_1_Sugar": "3 1", "y_Fish": "", "y_Sugar": "3 2"}
        sample, frame = form.sample_of(["x_1", "y"]), pd.DataFrame(rows, columns=form.columns)
        assert form.checked(frame, sample, self.test, "s.csv").equals(frame)
        with pytest.raises(UserError, match="outside an image of 4 pixels"):
            form.checked(frame.replace("3 2", "3 3"), sample, self.test, "s.csv")

    @pytest.mark.parametrize("options", [{}, {"key": "{image}.jpg", "class_column": "class"}])
    def test_rows_come_in_the_order_of_the_sample_whatever_it_is(self, options):
        form = self.form(**options)
        sample = form.sample_of(["x_1", "y"]).sample(frac=1, random_state=1).reset_index(drop=True)
        form.check_sample(sample, self.test)
        rows = form.rows("y", self.masks) + form.rows("x_1", np.ones((2, 4, 5), dtype=bool))
        written = form.checked(pd.DataFrame(rows, columns=form.columns), sample, self.test, "s.csv")
        keys = form.columns[:-1]
        assert written[keys].equals(sample[keys])
        full = written["rle"] == "1 20"
        assert full.sum() == 2 and written["id"][full].str.startswith("x_1").all()

    @pytest.mark.parametrize(
        ("cell", "message"),
        [
            ("1 21", "x_1_Fish has no valid run lengths"),
            ("1 2 3 1", "x_1_Fish has run lengths that do not survive"),
            ("-", "x_1_Fish has run lengths that do not survive"),
            ("one", "x_1_Fish has no valid run lengths"),
        ],
    )
    def test_masks_that_the_organiser_cannot_read_are_refused(self, cell, message):
        form = self.form()
        sample = form.sample_of(["x_1", "y"])
        rows = sample.assign(rle=["" if key != "x_1_Fish" else cell for key in sample["id"]])
        with pytest.raises(UserError, match=message):
            form.checked(rows, sample, self.test, "s.csv")

    def test_missing_unknown_and_repeated_rows_are_refused(self):
        form = self.form()
        sample = form.sample_of(["x_1", "y"])
        with pytest.raises(UserError, match=r"lacks 1 id\(s\) \(y_Sugar\)"):
            form.checked(sample[:-1], sample, self.test, "s.csv")
        with pytest.raises(UserError, match="occur more than once"):
            form.checked(pd.concat([sample, sample]), sample, self.test, "s.csv")
        with pytest.raises(UserError, match="have no test image"):
            form.check_sample(form.sample_of(["x_1", "y", "z"]), self.test)
        with pytest.raises(UserError, match="is it another competition's"):
            form.check_sample(sample.rename(columns={"rle": "pixels"}), self.test)

    def test_rows_that_cannot_tell_classes_apart_are_refused(self):
        with pytest.raises(UserError, match="does not tell 2 classes apart"):
            self.form(key="{image}")
        with pytest.raises(UserError, match="names 1 labels, and there are 2 classes"):
            self.form(labels=("1",))
        assert MaskRows(key="{image}").of(["ship"]).rows("y", self.masks[:1]) == [("y", "")]
