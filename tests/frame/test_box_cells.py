"""Boxes as text in a submission's cell."""

import pandas as pd
import pytest

from pipeline.frame.box_cells import BoxCells

WHEAT = BoxCells(form="{score:.4f} {x} {y} {w} {h}", whole=True)
CHEST = BoxCells(
    form="{label} {score:.3f} {x:.0f} {y:.0f} {x2:.0f} {y2:.0f}", labels=("0", "13"), none="14 1 0 0 1 1"
)
POINT = BoxCells(form="{label} {cx:.0f} {cy:.0f}")
ROW = (["0", "13"], [0.91234, 0.5], [[1.4, 2.6, 11.4, 12.4], [0.0, 0.0, 0.2, 9.0]])


@pytest.mark.parametrize(
    ("form", "text", "empty"),
    [
        (WHEAT, "0.9123 1 3 10 9 0.5000 0 0 1 9", ""),
        (CHEST, "0 0.912 1 3 11 12 13 0.500 0 0 0 9", "14 1 0 0 1 1"),
        (POINT, "0 6 8 13 0 4", ""),
    ],
)
def test_a_group_of_words_for_each_box(form, text, empty):
    assert form.cell(*ROW) == text and form.cell([], [], []) == empty
    frame = pd.DataFrame({"labels": [ROW[0], []], "scores": [ROW[1], []], "boxes": [ROW[2], []]})
    assert form.cells(frame) == [text, empty]
    assert not form.wrong(pd.Series([text, empty])).any()


@pytest.mark.parametrize(
    ("form", "cell"),
    [
        (WHEAT, "0.5 1 2 3"),
        (WHEAT, "1.5 1 2 3 4"),
        (WHEAT, "0.5 1 2 3 4 "),
        (WHEAT, "0.5 1 2 3 nan"),
        (CHEST, ""),
        (CHEST, "7 0.5 1 2 3 4"),
        (CHEST, "14 1 0 0 1 1 0 0.5 1 2 3 4"),
        (POINT, "a 1"),
    ],
)
def test_other_cells_are_wrong(form, cell):
    assert form.wrong(pd.Series([cell], dtype="str")).tolist() == [True]


def test_what_is_allowed_is_told():
    assert WHEAT.describe() == "empty or groups of 5 words: score x y w h"
    assert CHEST.describe().startswith(
        "14 1 0 0 1 1 or groups of 6 words: label score x y x2 y2, with a label"
    )
