"""Submission files of any content: accepted only as the organiser would, row by row."""

import csv
import io
import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.delivery.submission import check_file
from pipeline.frame.rle import decode
from pipeline.frame.submission import Number, OneOf, Probability, SubmissionFormat, Words
from pipeline.tasks.detection.columns import BoxString, parse_boxes
from pipeline.tasks.segmentation.columns import MaskRows
from tests.fuzzing import WORDS, damaged, depths, examples, read_or_refused

IDS = ["a", "b_1", "7"]
TEST = pd.DataFrame({"image_id": IDS, "height": 4, "width": 5})


def boxes(cell: str) -> bool:
    categories, scores, found = parse_boxes(cell)
    good = all(0 <= score <= 1 for score in scores) and bool((found[:, 2:] > found[:, :2]).all())
    return good and set(categories) <= {1, 7} and all(map(math.isfinite, found.ravel()))


COLUMNS = {
    "label": (OneOf(("cat", "dog")), lambda cell: cell in ("cat", "dog"), "cat"),
    "share": (Probability(), lambda cell: 0 <= float(cell) <= 1, "0.5"),
    "number": (Number(), lambda cell: math.isfinite(float(cell)), "-3e2"),
    "words": (Words(("x", "y"), least=1), lambda cell: cell in ("x", "y", "x y", "y x"), "y x"),
    "boxes": (BoxString((1, 7)), boxes, "7 0.5 1 1 2 2"),
}


@depths
@pytest.mark.parametrize("kind", COLUMNS)
def test_a_row_for_each_id(count, kind, tmp_path):
    column, good, sound = COLUMNS[kind]
    form = SubmissionFormat("id", {kind: column})
    sample = form.sample_of(IDS)
    path = tmp_path / "submission.csv"
    whole = f"id,{kind}\n" + "".join(f"{name},{sound}\n" for name in IDS)
    cells = WORDS.filter(str.isprintable) | st.just(sound)
    tables = st.lists(cells, min_size=3, max_size=3).map(
        lambda three: (
            f"id,{kind}\n" + "".join(f'{name},"{cell}"\n' for name, cell in zip(IDS, three, strict=True))
        )
    )

    @examples(count)
    @given(damaged(whole.encode()) | tables.map(str.encode) | st.just(whole.encode()))
    def holds(content):
        path.write_bytes(content)
        found = read_or_refused(lambda: check_file(path, sample, TEST, form) or True, path)
        if content == whole.encode():
            assert found
        if found:
            rows = [row for row in csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")) if row]
            assert rows[0] in (["id", kind], [kind, "id"]) and len(rows) == 4
            place = rows[0].index("id")
            assert [row[place] for row in rows[1:]] == IDS
            assert all(good(row[1 - place]) for row in rows[1:]), rows

    holds()


@depths
def test_run_lengths(count, tmp_path):
    form = MaskRows("id", "rle", 3)
    sample = form.sample_of(IDS)
    path = tmp_path / "submission.csv"
    whole = "id,rle\na_1,1 3 9 2\na_2,5 1\nb_1_1,20 1\n"
    cells = st.lists(WORDS.filter(str.isprintable) | st.integers(0, 21).map(str), max_size=4).map(" ".join)
    names = st.sampled_from(("a_1", "a_2", "b_1_2", "7_1", "a_0", "a_3", "a", "c_1", "_1", "a_01"))
    tables = st.lists(st.tuples(names, cells), max_size=3).map(
        lambda rows: "id,rle\n" + "".join(f'{name},"{cell}"\n' for name, cell in rows)
    )

    @examples(count)
    @given(damaged(whole.encode()) | tables.map(str.encode) | st.just(whole.encode()))
    def holds(content):
        path.write_bytes(content)
        found = read_or_refused(lambda: check_file(path, sample, TEST, form) or True, path)
        if content == whole.encode():
            assert found
        if found:
            rows = [row for row in csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")) if row]
            assert rows[0] == ["id", "rle"]
            ids = [row[0] for row in rows[1:]]
            assert len(set(ids)) == len(ids)
            for name, cell in rows[1:]:
                image, _, number = name.rpartition("_")
                assert image in IDS and number in ("1", "2") and decode(cell, 4, 5).any()

    holds()
