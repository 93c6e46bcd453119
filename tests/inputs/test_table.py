"""The table beside the images."""

import numpy as np
import pandas as pd
import pytest

from pipeline.base.errors import UserError
from pipeline.inputs.table import Table, encoded, width_of

TABLE = Table(numbers=("age",), categories=("sex",))
TRAIN = pd.DataFrame({"image_id": list("abcd"), "age": ["10", "20", "", "30"], "sex": ["m", "f", None, "m"]})


def test_numbers_are_standardised_and_categories_are_columns():
    train = TABLE.checked(TRAIN, "train")
    fitted = TABLE.fit(train)
    deviation = np.std([10, 20, 30])
    expected = [
        [-10 / deviation, 0, 0, 0, 1],
        [0, 0, 0, 1, 0],
        [0, 1, 1, 0, 0],
        [10 / deviation, 0, 0, 0, 1],
    ]
    np.testing.assert_allclose(encoded(fitted, train), expected, rtol=1e-6)
    assert width_of(fitted) == 5 and fitted["categories"] == {"sex": ["", "f", "m"]}


def test_what_training_rows_lack_tells_nothing():
    train = TABLE.checked(TRAIN[:2], "train")
    test = TABLE.checked(pd.DataFrame({"image_id": ["x"], "age": ["na"], "sex": ["other"]}), "test")
    assert encoded(TABLE.fit(train), test).tolist() == [[0, 0, 0]]
    assert TABLE.notes(train, test) == [
        "1 test rows have no age, unlike any training row: they get its mean",
        "1 test rows have a sex that no training row has, which tells nothing: other",
    ]


def test_a_number_that_never_changes_is_0():
    train = Table(numbers=("age",)).checked(pd.DataFrame({"image_id": ["a", "b"], "age": [7, 7]}), "train")
    assert encoded(Table(numbers=("age",)).fit(train), train).tolist() == [[0], [0]]


@pytest.mark.parametrize("cell", ["old", "inf"])
def test_a_cell_that_is_no_number_is_named(cell):
    with pytest.raises(UserError, match=r"train has a age that is no finite number for 1 image\(s\): b;"):
        TABLE.checked(TRAIN.assign(age=["1", cell, "3", "4"]), "train")


def test_a_column_that_is_not_there_is_named():
    with pytest.raises(UserError, match=r"the column\(s\) sex, and the test frame has none"):
        TABLE.checked(TRAIN.drop(columns="sex"), "test")
