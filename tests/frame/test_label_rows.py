"""Rows of a submission for each image and class."""

import pandas as pd
import pytest

from pipeline.base.errors import UserError
from pipeline.frame.label_rows import LabelRows

FORM = LabelRows(labels=("C1", "all"), id_column="row_id", value_column="fractured")
TEST = pd.DataFrame({"image_id": ["1.2", "a_b"]})


def test_rows_come_in_the_order_of_the_sample_whatever_it_is():
    given = pd.DataFrame({"image_id": ["a_b", "1.2"], "all": [0.2, 1.0], "C1": [0.1, 1.5]})
    sample = FORM.sample_of(["1.2", "a_b"])[::-1].reset_index(drop=True)
    FORM.check_sample(sample, TEST)
    written = FORM.checked(FORM.rows(given), sample, TEST, "s.csv")
    assert written["row_id"].tolist() == ["a_b_all", "a_b_C1", "1.2_all", "1.2_C1"]
    assert written["fractured"].tolist() == [0.2, 0.1, 1.0, 1.0]


def test_rows_that_are_missing_or_of_no_image_are_refused():
    sample = FORM.sample_of(["1.2", "a_b"])
    with pytest.raises(UserError, match=r"lacks 1 id\(s\) \(a_b_all\)"):
        FORM.checked(sample[:-1].assign(fractured=0.5), sample, TEST, "s.csv")
    with pytest.raises(UserError, match="have no test image"):
        FORM.check_sample(FORM.sample_of(["1.2", "a_b", "c"]), TEST)
