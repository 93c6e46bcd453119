"""Rows of a submission for each pixel."""

import numpy as np
import pandas as pd
import pytest

from pipeline.base.errors import UserError
from pipeline.frame.pixel_rows import PixelRows

TEST = pd.DataFrame({"image_id": ["1", "a_2"], "height": [2, 1], "width": [2, 3]})
FORM = PixelRows()


def rows() -> pd.DataFrame:
    first, second = np.array([[[0.0, 1.0], [0.5, 0.25]]]), np.array([[[0.123456, 0.2, 0.3]]], dtype="float32")
    return pd.concat([FORM.rows("a_2", second), FORM.rows("1", first)], ignore_index=True)


def test_pixels_are_written_row_by_row_and_come_in_the_samples_order():
    written = FORM.checked(rows(), FORM.sample_of(["1", "a_2"]), TEST, "s.csv")
    assert written["id"].tolist() == ["1_1_1", "1_1_2", "1_2_1", "1_2_2", "a_2_1_1", "a_2_1_2", "a_2_1_3"]
    assert written["value"].tolist() == [0, 1, 0.5, 0.25, 0.12346, 0.2, 0.3]
    sample = written[::-1].assign(value="1").reset_index(drop=True)
    FORM.check_sample(sample, TEST[["image_id"]])
    assert FORM.checked(rows(), sample, TEST, "s.csv")["id"].tolist() == sample["id"].tolist()


def test_colours_and_another_key():
    form = PixelRows(value_columns=("r", "g"), key="{image}/{column}/{row}", first=0)
    values = np.array([[[0.0, 1.0]], [[0.25, 0.5]]])
    assert form.rows("x", values).to_numpy().tolist() == [["x/0/0", 0, 0.25], ["x/1/0", 1, 0.5]]


def test_rows_that_are_missing_or_of_no_image_are_refused():
    sample = FORM.checked(rows(), FORM.sample_of([]), TEST, "s.csv")
    with pytest.raises(UserError, match=r"lacks 1 id\(s\)"):
        FORM.checked(rows()[1:], sample, TEST, "s.csv")
    with pytest.raises(UserError, match=r"1 id\(s\) of the sample submission are of no test image: b_1_1"):
        FORM.check_sample(sample.replace("1_1_1", "b_1_1"), TEST)
    with pytest.raises(UserError, match="are of no test image: first"):
        FORM.check_sample(sample.replace("1_1_1", "first"), TEST)
    with pytest.raises(UserError, match="is it another competition's"):
        FORM.check_sample(sample.rename(columns={"value": "v"}), TEST)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"key": "{image}_{row}"}, "it must have"), ({"value_columns": ("r", "g")}, "2 value_columns")],
)
def test_rows_that_cannot_be_told_apart_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        PixelRows(**options).check(1)
