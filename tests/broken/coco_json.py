"""COCO's annotation files: JSON that is none, entries and boxes that make no sense."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.competition.prepared import Prepared
from pipeline.frame.boxes import box_array
from tests.broken.case import Break, accepted, refused
from tests.broken.images import JPEG, write
from tests.broken.worlds import SIDE

JSON = Path("annotations/instances_train2017.json")
TEST_JSON = "annotations/image_info_test2017.json"


def content(text: str | bytes, name: str | Path = JSON) -> Break:
    """Put this in place of the annotations."""
    return write(text.encode() if isinstance(text, str) else text, Path(name))


def replaced(old: str, new: str) -> Break:
    """Replace the first of a part of the JSON's text."""

    def breaks(raw: Path) -> None:
        text = (raw / JSON).read_text()
        assert old in text
        (raw / JSON).write_text(text.replace(old, new, 1))

    return breaks


def entry(kind: str, place: int = 0, **values: Any) -> Break:
    """Change values of one entry; None removes one."""

    def breaks(raw: Path) -> None:
        data = json.loads((raw / JSON).read_text())
        for name, value in values.items():
            data[kind][place][name] = value
            if value is None:
                del data[kind][place][name]
        (raw / JSON).write_text(json.dumps(data))

    return breaks


def box_of(*wanted: float, row: int = 0) -> Callable[[Prepared], bool]:
    """Whether the first image has this one box, or none."""

    def holds(data: Prepared) -> bool:
        found = box_array(data.train["boxes"][row])
        return found.ravel().tolist() == list(wanted)

    return holds


SAME = box_of(1, 2, 6, 8)
NONE = box_of()
WRONG_BOXES: dict[str, object] = {
    "of three numbers": [1, 2, 3],
    "of five numbers": [1, 2, 3, 4, 5],
    "as text": "1 2 5 6",
    "of texts": ["1", "2", "5", "6"],
    "of None": [None] * 4,
    "as an object": {"x": 1, "y": 2, "w": 5, "h": 6},
    "of truth values": [True, False, True, True],
    "beyond any float": [1, 2, 10**400, 6],
}
WRONG_MASKS: dict[str, object] = {
    "of an odd count": [[1, 2, 3, 4, 5, 6, 7]],
    "of texts": [["1", "2", "3", "4", "5", "6"]],
    "2e8 pixels away": [[0, 0, 2e8, 0, 2e8, 2e8]],
    "of numbers without a list around them": [1, 2, 6, 2, 6, 8],
    "as a word": "polygon",
    "as run lengths of another size": {"size": [3, 3], "counts": [9]},
    "as run lengths that end early": {"size": [SIDE, SIDE], "counts": [5, 5]},
    "as run lengths below 0": {"size": [SIDE, SIDE], "counts": [-1, SIDE**2 + 1]},
    "as run lengths of one too many": {"size": [SIDE, SIDE], "counts": [SIDE**2 + 1]},
    "as compressed run lengths that end early": {"size": [SIDE, SIDE], "counts": "o"},
    "as compressed run lengths of other letters": {"size": [SIDE, SIDE], "counts": "\u00e9\u00e9"},
    "as run lengths without counts": {"size": [SIDE, SIDE]},
}
NAME = JSON.name

CASES = [
    *(
        refused(f"a file {name}", "coco", content(text), NAME)
        for name, text in {
            "of no bytes": "",
            "cut in the middle": '{"images": [{"id": 1, "file_',
            "that is a list": "[]",
            "that is a number": "3",
            "that is null": "null",
            "with lists in place of its entries": '{"images": [[]], "categories": [], "annotations": []}',
            "without images": '{"categories": [], "annotations": []}',
            "with objects in place of lists": '{"images": {}, "categories": {}, "annotations": {}}',
            "nested 100,000 deep": "[" * 100_000,
            "that is a Python literal": "{'images': []}",
            "with a comment": '{"images": [], // none\n "categories": [], "annotations": []}',
            "that is not UTF-8": b'{"images": "\xff\xfe\xe9"}',
            "that is a pickle": b"\x80\x04]\x94.",
            "with a number of 5,000 digits": '{"images": [{"id": ' + "9" * 5000 + "}]}",
            "with other data after its end": '{"images": [], "categories": [], "annotations": []} {}',
            "without any image": '{"images": [], "categories": [{"id": 1, "name": "person"}]}',
        }.items()
    ),
    *(
        refused(f"a bbox {name}", "coco", entry("annotations", bbox=value), NAME, "annotation 1")
        for name, value in WRONG_BOXES.items()
    ),
    *(
        refused(f"a mask {name}", "coco", entry("annotations", segmentation=value), NAME, "annotation 1")
        for name, value in WRONG_MASKS.items()
    ),
    refused("no bbox", "coco", entry("annotations", bbox=None), NAME, "annotation 1"),
    refused("an image that is not listed", "coco", entry("annotations", image_id=99), "annotation 1", "99"),
    refused(
        "a category that is not listed", "coco", entry("annotations", category_id=2), "annotation 1", "2"
    ),
    refused("another data set's category", "coco", entry("categories", name="wheat"), "'wheat'"),
    refused("another number for a category", "coco", entry("categories", id=7), NAME),
    refused("a category without a name", "coco", entry("categories", name=None), "lacks a name"),
    refused("a category twice", "coco", entry("categories", 1, name="person"), "person", "more than once"),
    refused("an image id twice", "coco", entry("images", 1, id=1), "image id(s) 1", "more than once"),
    refused("an annotation id twice", "coco", entry("annotations", 1, id=1), "annotation id(s) 1"),
    refused("an image without a size", "coco", entry("images", width=None), "image 1", "width"),
    refused("an image of 0 pixels", "coco", entry("images", width=0), "image 1", "width"),
    refused("an image of 1e300 pixels", "coco", entry("images", width=1e300), "image 1", "width"),
    refused("an image of half pixels", "coco", entry("images", width=12.5), "image 1", "width"),
    refused("an image without a file name", "coco", entry("images", file_name=None), "image 1", "file_name"),
    accepted(
        "a file name that is a number and no file's, which is named",
        "coco",
        entry("images", file_name=7),
        lambda d: len(d.train) == 3,
        "labels without files, left out: 7 (",
    ),
    refused("an image id that is a list", "coco", entry("images", id=[1]), "an id"),
    refused("an image id below half a billion billion", "coco", entry("images", id=-(10**30)), "an id"),
    refused(
        "an iscrowd that is a word", "coco", entry("annotations", iscrowd="maybe"), "annotation 1", "maybe"
    ),
    refused("an iscrowd of 2", "coco", entry("annotations", iscrowd=2), "annotation 1", "2"),
    refused("a size that is another file's", "coco", entry("images", width=6, height=6), "000000000001"),
    refused(
        "test images that are not listed",
        "coco",
        content('{"images": [], "categories": []}', TEST_JSON),
        TEST_JSON,
    ),
    accepted(
        "an iscrowd as text",
        "coco",
        entry("annotations", iscrowd="0"),
        lambda d: list(d.train["crowd"][0]) == [0],
    ),
    accepted(
        "no iscrowd", "coco", entry("annotations", iscrowd=None), lambda d: list(d.train["crowd"][0]) == [0]
    ),
    accepted("ids as whole decimal numbers", "coco", replaced('"image_id": 1,', '"image_id": 1.0,'), SAME),
    accepted(
        "a byte order mark",
        "coco",
        lambda raw: (raw / JSON).write_bytes(b"\xef\xbb\xbf" + (raw / JSON).read_bytes()),
        SAME,
    ),
    accepted(
        "UTF-16",
        "coco",
        lambda raw: (raw / JSON).write_bytes((raw / JSON).read_text().encode("utf-16")),
        SAME,
    ),
    accepted(
        "a file name with folders of Windows",
        "coco",
        entry("images", file_name="train2017\\000000000001.jpg"),
        SAME,
    ),
    accepted("a file name with another suffix", "coco", entry("images", file_name="000000000001.png"), SAME),
    accepted("an image without annotations", "coco", entry("annotations", image_id=2), NONE),
    accepted(
        "a box of no size, dropped and named",
        "coco",
        entry("annotations", bbox=[1, 2, 0, 6]),
        NONE,
        "under 1 pixel",
        "000000000001",
    ),
    accepted(
        "a box of NaN, dropped and named",
        "coco",
        entry("annotations", bbox=[float("nan"), 2, 5, 6]),
        NONE,
        "no finite number",
        "000000000001",
    ),
    accepted(
        "a box of infinity, dropped and named",
        "coco",
        entry("annotations", bbox=[1, 2, float("inf"), 6]),
        NONE,
        "no finite number",
    ),
    accepted(
        "a box of a width below 0, dropped and named",
        "coco",
        entry("annotations", bbox=[6, 2, -5, 6]),
        NONE,
        "precedes the other",
    ),
    accepted(
        "a box partly outside, clipped and named",
        "coco",
        entry("annotations", bbox=[-3, 2, 8, 6]),
        box_of(0, 2, 5, 8),
        "left the image",
        "000000000001",
    ),
    accepted(
        "a box wholly outside, dropped and named",
        "coco",
        entry("annotations", bbox=[50, 50, 5, 5]),
        NONE,
        "under 1 pixel",
    ),
    accepted(
        "a box in shares of the image, dropped and named",
        "coco",
        entry("annotations", bbox=[0.1, 0.1, 0.5, 0.5]),
        NONE,
        "under 1 pixel",
    ),
    accepted(
        "an area below 0, replaced and named",
        "coco",
        entry("annotations", area=-5),
        lambda d: d.train["areas"][0][0] > 0,
        "area(s)",
        "annotation 1",
    ),
    accepted(
        "an area of NaN, replaced and named",
        "coco",
        entry("annotations", area=float("nan")),
        lambda d: d.train["areas"][0][0] > 0,
        "area(s)",
    ),
    accepted(
        "an area beyond any float, replaced and named",
        "coco",
        entry("annotations", area=10**400),
        lambda d: d.train["areas"][0][0] > 0,
        "area(s)",
    ),
    accepted(
        "a polygon of two points, left out and named",
        "coco",
        entry("annotations", segmentation=[[1, 2, 3, 4]]),
        lambda d: d.train["masks"][0][0] == "",
        "fewer than three points",
        "annotation 1",
    ),
    accepted(
        "an empty mask", "coco", entry("annotations", segmentation=[]), lambda d: d.train["masks"][0][0] == ""
    ),
    accepted(
        "an image without a file, which is named",
        "coco",
        lambda raw: (raw / "train2017/000000000001.jpg").unlink(),
        lambda d: len(d.train) == 3,
        "000000000001",
    ),
    accepted(
        "a file that is not listed, which is named",
        "coco",
        write(JPEG, Path("train2017/x.jpg")),
        lambda d: len(d.train) == 4,
        "x",
    ),
]
