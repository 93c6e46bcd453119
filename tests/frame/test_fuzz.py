"""Annotation files of any content: read with the meaning that they have, or refused in one sentence."""

import copy
import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline.base.errors import UserError
from pipeline.frame.boxes import box_array, repair_boxes
from pipeline.frame.coco_json import read_coco
from pipeline.frame.coco_masks import run_lengths
from pipeline.frame.rle import decode, encode
from pipeline.frame.voc_xml import read_voc
from pipeline.frame.yolo_txt import read_yolo
from tests.fuzzing import VALUES, WORDS, damaged, depths, examples, read_or_refused

SIDE = 12


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> pd.DataFrame:
    """Two images of 12 x 12 pixels."""
    folder = tmp_path_factory.mktemp("images")
    for name in ("a", "b"):
        Image.new("RGB", (SIDE, SIDE)).save(folder / f"{name}.png")
    return pd.DataFrame({"image_id": ["a", "b"], "path": [f"{folder}/{n}.png" for n in "ab"]}, dtype="str")


def check_truth(frame: pd.DataFrame) -> None:
    """Lists are parallel, crowd is 0 or 1, masks fit their image; and the next step takes it."""
    for row in frame.itertuples():
        boxes = box_array(row.boxes)
        assert boxes.shape == (len(row.labels), 4) == (len(row.crowd), 4) == (len(row.masks), 4)
        assert set(row.crowd) <= {0, 1} and all(isinstance(name, str) for name in row.labels)
        assert 0 < row.width <= 10**6 and 0 < row.height <= 10**6
        for box, mask in zip(boxes, row.masks, strict=True):
            if mask and np.isfinite(box).all():
                assert run_lengths(mask, box.tolist(), row.height, row.width)["size"] == [
                    row.height,
                    row.width,
                ]
        assert all(math.isfinite(area) and area >= 0 for area in getattr(row, "areas", ()))
    try:
        repaired = repair_boxes(frame)
    except UserError as error:
        assert "another size" in str(error)
        return
    for row in repaired.itertuples():
        boxes = box_array(row.boxes)
        assert (boxes >= 0).all() and (boxes[:, 2:] - boxes[:, :2] >= 1).all()


COCO = {
    "images": [
        {"id": n, "file_name": f"{name}.png", "width": SIDE, "height": SIDE} for n, name in enumerate("ab")
    ],
    "categories": [{"id": 1, "name": "cat"}, {"id": 3, "name": "dog"}],
    "annotations": [
        {
            "id": 7,
            "image_id": 0,
            "category_id": 1,
            "bbox": [1, 2, 5, 6],
            "area": 30,
            "iscrowd": 0,
            "segmentation": [[1, 2, 6, 2, 6, 8, 1, 8]],
        },
        {
            "id": 8,
            "image_id": 1,
            "category_id": 3,
            "bbox": [0, 0, 4, 4],
            "area": 16,
            "iscrowd": 1,
            "segmentation": {"size": [SIDE, SIDE], "counts": [3, 4, 137]},
        },
    ],
}


def places(value, path=()):
    """Every path into a JSON value."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


@st.composite
def coco_files(draw) -> bytes:
    content = copy.deepcopy(COCO)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from([path for path in places(content) if path] or [("images",)]))
        inner = content
        for key in path[:-1]:
            inner = inner[key]
        action = draw(st.sampled_from(("replace", "remove", "double")))
        if action == "remove":
            del inner[path[-1]]
        elif action == "double" and isinstance(inner, list):
            inner.append(copy.deepcopy(inner[path[-1]]))
        else:
            inner[path[-1]] = draw(VALUES)
    return json.dumps(content).encode("utf-8", "surrogatepass")


@depths
@pytest.mark.parametrize("files", [coco_files(), damaged(json.dumps(COCO).encode())], ids=["values", "bytes"])
def test_coco_json(count, files, images, tmp_path):
    path = tmp_path / "instances.json"

    @examples(count)
    @given(files)
    def holds(content):
        path.write_bytes(content)
        found = read_or_refused(lambda: read_coco(path, images), path)
        if found is not None:
            check_truth(found[0])
            assert set().union(*found[0]["labels"]) <= set(found[1])

    holds()


VOC = (
    "<annotation><size><width>{w}</width><height>{h}</height></size><object><name>{name}</name>"
    "<difficult>{difficult}</difficult><bndbox><xmin>{a}</xmin><ymin>{b}</ymin><xmax>{c}</xmax><ymax>{d}</ymax>"
    "</bndbox></object></annotation>"
)
SOUND = {"w": "12", "h": "12", "name": "cat", "difficult": "0", "a": "2", "b": "3", "c": "8", "d": "9"}
WHOLE = VOC.format(**SOUND).encode()


@st.composite
def voc_files(draw) -> bytes:
    values = dict(SOUND)
    for key in draw(st.lists(st.sampled_from(list(SOUND)), min_size=1, max_size=3)):
        values[key] = draw(WORDS)
    encoding = draw(st.sampled_from(("utf-8", "utf-16", "latin-1", "gb18030", "shift_jis")))
    text = f'<?xml version="1.0" encoding="{encoding}"?>' + VOC.format(**values)
    return text.encode(encoding, "replace")


@depths
@pytest.mark.parametrize("files", [voc_files(), damaged(WHOLE)], ids=["values", "bytes"])
def test_voc_xml(count, files, images, tmp_path):
    (tmp_path / "b.xml").write_bytes(WHOLE)
    path = tmp_path / "a.xml"

    @examples(count)
    @given(files)
    def holds(content):
        path.write_bytes(content)
        found = read_or_refused(lambda: read_voc(tmp_path, images), path)
        if found is not None:
            check_truth(found)
            assert box_array(found["boxes"][1]).tolist() == [[1, 2, 8, 9]]

    holds()


@depths
@pytest.mark.parametrize(
    "files",
    [
        st.lists(
            st.lists(WORDS | st.sampled_from(("0", "1", "0.5", "0.25")), max_size=8).map(" ".join), max_size=4
        ).map(lambda lines: "\n".join(lines).encode("utf-8", "surrogatepass")),
        damaged(b"0 0.5 0.5 0.25 0.25\n1 0.1 0.1 0.9 0.1 0.9 0.9\n"),
    ],
    ids=["values", "bytes"],
)
def test_yolo_txt(count, files, images, tmp_path):
    (tmp_path / "b.txt").write_text("1 0.5 0.5 0.5 0.5\n")
    path = tmp_path / "a.txt"

    @examples(count)
    @given(files)
    def holds(content):
        path.write_bytes(content)
        found = read_or_refused(lambda: read_yolo(tmp_path, images, ["cat", "dog"]), path)
        if found is not None:
            check_truth(found)
            lines = [line.split() for line in content.decode("utf-8-sig").splitlines() if line.strip()]
            assert found["labels"][0] == [["cat", "dog"][int(line[0])] for line in lines]
            for box, line in zip(found["boxes"][0], lines, strict=True):
                if len(line) == 5:
                    x, y, w, h = (float(word) * SIDE for word in line[1:])
                    np.testing.assert_allclose(box, [x - w / 2, y - h / 2, x + w / 2, y + h / 2], atol=1e-9)

    holds()


@depths
def test_run_lengths(count):
    @examples(count)
    @given(
        st.lists(WORDS | st.integers(0, 40).map(str), max_size=8).map(" ".join),
        st.integers(1, 9),
        st.integers(1, 9),
    )
    def holds(text, height, width):
        try:
            mask = decode(text, height, width)
        except ValueError as error:
            assert 10 < len(str(error)) < 200, str(error)
            return
        numbers = [int(word) for word in text.split()]
        inside = sorted(
            pixel
            for start, length in zip(numbers[::2], numbers[1::2], strict=True)
            for pixel in range(start, start + length)
        )
        assert np.flatnonzero(mask.ravel(order="F")).tolist() == [pixel - 1 for pixel in inside]
        assert np.array_equal(decode(encode(mask), height, width), mask)

    holds()
