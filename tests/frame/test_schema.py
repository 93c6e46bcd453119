"""What comes from a competition's own reading is checked and cast once, at the boundary."""

import numpy as np
import pandas as pd
import pytest

from pipeline.base.errors import UserError
from pipeline.frame.schema import as_text, check_image_frame


def frame(**columns: list) -> pd.DataFrame:
    return pd.DataFrame({"image_id": [10, 9], "path": ["a.jpg", "b.jpg"], "label": [1, 0]} | columns)


def test_numbers_that_a_reader_made_of_names_become_text():
    checked = check_image_frame(frame(), ("label",), "train", ("label",))
    assert checked["image_id"].tolist() == ["9", "10"] and checked["label"].tolist() == ["0", "1"]
    floats = check_image_frame(frame(image_id=[10.0, 9.0], label=[1.0, 0.5]), ("label",), "train", ("label",))
    assert floats["image_id"].tolist() == ["9", "10"] and floats["label"].tolist() == ["0.5", "1"]


def test_targets_that_are_numbers_stay():
    checked = check_image_frame(frame(), ("label",), "train")
    assert checked["label"].dtype == np.int64


def test_lists_of_names_and_texts():
    assert as_text(pd.Series([[7, 2.0], np.array([3]), []])).tolist() == [["7", "2"], ["3"], []]
    assert as_text(pd.Series(["007", "x"], dtype="str")).tolist() == ["007", "x"]
    assert as_text(pd.Series([True, False])).tolist() == ["True", "False"]


@pytest.mark.parametrize("column", ["image_id", "path"])
def test_a_row_without_id_or_path_is_named(column):
    with pytest.raises(UserError, match=rf"train frame has no {column} in row\(s\) 2: complete"):
        check_image_frame(frame(**{column: ["7", None]}), ("label",), "train")


def test_two_spellings_of_one_id_are_one():
    with pytest.raises(UserError, match="1 duplicate image id"):
        check_image_frame(frame(image_id=[7, "7"]), ("label",), "train")


@pytest.mark.parametrize("cells", [["cat", "cat "], ["caf\u00e9", "cafe\u0301"], [["cat"], ["dog", " cat"]]])
def test_names_that_look_the_same_are_refused(cells):
    frame = pd.DataFrame({"image_id": ["1", "2"], "path": ["a", "b"], "label": cells})
    with pytest.raises(UserError, match=r"^train has the label '.*' and '.*', which look the same"):
        check_image_frame(frame, ["label"], "train", ["label"])


def test_names_that_differ_and_empty_lists_pass_and_ids_are_composed():
    frame = pd.DataFrame(
        {"image_id": ["cafe\u0301", "2", "3"], "path": ["a", "b", "c"], "label": [["a", "A"], [], ["b"]]}
    )
    assert check_image_frame(frame, ["label"], "train", ["label"])["image_id"].tolist() == [
        "2",
        "3",
        "caf\u00e9",
    ]
