"""Tiny raw folders in the layouts of the competitions that ship and of the tasks' templates: sound until a
case breaks one of them in one way."""

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.competition.base import Competition
from pipeline.competition.new import write_competition
from pipeline.tasks.segmentation.palette import write_mask
from tests.helpers import SLUGS, competition_of

SIDE = 12
"""Pixels of an image's side."""
TRAIN, TEST = 4, 2
"""Images of each split."""


def picture(number: int) -> Image.Image:
    """One RGB image that equals no other."""
    random = np.random.default_rng(number)
    return Image.fromarray(random.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8))


def save(folder: Path, names: list[str], first: int = 0) -> None:
    """Write a picture under each of the names."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        picture(first + number).save(folder / name)


def rows(path: Path, *lines: str) -> None:
    """Write a text of these lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def cifar10(raw: Path) -> None:
    """trainLabels.csv, sampleSubmission.csv, train/1.png to 4.png, test/1.png and 2.png."""
    labels = ["cat", "dog"] * (TRAIN // 2)
    save(raw / "train", [f"{n}.png" for n in range(1, TRAIN + 1)])
    save(raw / "test", [f"{n}.png" for n in range(1, TEST + 1)], TRAIN)
    rows(raw / "trainLabels.csv", "id,label", *(f"{n},{label}" for n, label in enumerate(labels, start=1)))
    rows(raw / "sampleSubmission.csv", "id,label", *(f"{n},cat" for n in range(1, TEST + 1)))


def hotdog(raw: Path) -> None:
    """train/hotdog/, train/not-hotdog/, test/, sample_submission.csv."""
    for place, name in enumerate(("hotdog", "not-hotdog")):
        save(raw / "train" / name, ["1.png", "2.png"], 2 * place)
    save(raw / "test", ["1.png", "2.png"], TRAIN)
    rows(raw / "sample_submission.csv", "id,hotdog", "1,0.5", "2,0.5")


def mask_of(number: int, values: tuple[int, ...]) -> np.ndarray:
    """uint8 (SIDE, SIDE): background, and two squares of the next two values."""
    mask = np.full((SIDE, SIDE), values[0], dtype=np.uint8)
    mask[1:4, 1:4], mask[6:10, 6 : 8 + number] = values[1], values[2]
    return mask


def voc(raw: Path) -> None:
    """VOCdevkit/VOC2012 with JPEGImages, SegmentationClass and the lists trainval.txt and test.txt."""
    year = raw / "VOCdevkit" / "VOC2012"
    ids = [f"2012_{n:06d}" for n in range(1, TRAIN + TEST + 1)]
    save(year / "JPEGImages", [f"{name}.jpg" for name in ids])
    (year / "SegmentationClass").mkdir()
    for number, name in enumerate(ids[:TRAIN]):
        write_mask(year / "SegmentationClass" / f"{name}.png", mask_of(number, (0, 1, 8)))
    rows(year / "ImageSets/Segmentation/trainval.txt", *ids[:TRAIN])
    rows(year / "ImageSets/Segmentation/test.txt", *ids[TRAIN:])


def coco(raw: Path) -> None:
    """train2017/, test2017/ and their annotation files; a person on each image."""
    save(raw / "train2017", [f"{n:012d}.jpg" for n in range(1, TRAIN + 1)])
    save(raw / "test2017", [f"{n:012d}.jpg" for n in range(11, 11 + TEST)], TRAIN)
    categories = [{"id": 1, "name": "person"}, {"id": 3, "name": "car"}]

    def image(number: int) -> dict:
        return {"id": number, "file_name": f"{number:012d}.jpg", "width": SIDE, "height": SIDE}

    train = {
        "images": [image(n) for n in range(1, TRAIN + 1)],
        "categories": categories,
        "annotations": [
            {
                "id": n,
                "image_id": n,
                "category_id": 1 + 2 * (n % 2),
                "bbox": [1, 2, 5, 6],
                "area": 30,
                "iscrowd": 0,
                "segmentation": [[1, 2, 6, 2, 6, 8, 1, 8]],
            }
            for n in range(1, TRAIN + 1)
        ],
    }
    test = {"images": [image(n) for n in range(11, 11 + TEST)], "categories": categories}
    for name, content in (("instances_train2017", train), ("image_info_test2017", test)):
        path = raw / "annotations" / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content))


def _pictures(raw: Path, train: str = "train") -> list[str]:
    ids = [f"a{n}" for n in range(1, TRAIN + 1)]
    save(raw / train, [f"{name}.jpg" for name in ids])
    save(raw / "test", [f"b{n}.jpg" for n in range(1, TEST + 1)], TRAIN)
    return ids


def classification(raw: Path) -> None:
    """The template's: train.csv (image_id,label), train/, test/."""
    ids = _pictures(raw)
    rows(raw / "train.csv", "image_id,label", *(f"{i},{'xy'[n % 2]}" for n, i in enumerate(ids)))


def multilabel(raw: Path) -> None:
    """The template's: train.csv (image_id,labels), train/, test/."""
    cells = ["x", "x y", "", "y"]
    ids = _pictures(raw)
    rows(raw / "train.csv", "image_id,labels", *(f"{i},{c}" for i, c in zip(ids, cells, strict=True)))


def regression(raw: Path) -> None:
    """The template's: train.csv (image_id,value from 1 to 100), train/, test/."""
    ids = _pictures(raw)
    rows(raw / "train.csv", "image_id,value", *(f"{i},{10 * n + 1.5}" for n, i in enumerate(ids)))


def segmentation(raw: Path) -> None:
    """The template's: images/, masks/, test/; the classes are background, disc and square."""
    ids = _pictures(raw, "images")
    (raw / "masks").mkdir()
    for number, name in enumerate(ids):
        write_mask(raw / "masks" / f"{name}.png", mask_of(number, (0, 1, 2)))


XML = (
    "<annotation><size><width>{side}</width><height>{side}</height></size><object><name>cat</name>"
    "<bndbox><xmin>2</xmin><ymin>3</ymin><xmax>8</xmax><ymax>9</ymax></bndbox></object></annotation>"
)


def detection(raw: Path) -> None:
    """The template's: annotations/, train/, test/; a cat on each image."""
    for name in _pictures(raw):
        rows(raw / "annotations" / f"{name}.xml", XML.format(side=SIDE))


WORLDS: dict[str, Callable[[Path], None]] = {
    world.__name__: world
    for world in (
        cifar10,
        hotdog,
        voc,
        coco,
        classification,
        multilabel,
        regression,
        segmentation,
        detection,
    )
}


def competition(world: str, scratch: Path) -> Competition:
    """The competition of a world; those of the templates are written below `scratch`."""
    if world in SLUGS:
        return competition_of(world)
    folder = scratch / "competitions" / world
    if not folder.exists():
        folder.parent.mkdir(exist_ok=True)
        write_competition(scratch, world, world)
    spec = importlib.util.spec_from_file_location(f"broken.{world}.competition", folder / "competition.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # the source of a class is looked for there
    spec.loader.exec_module(module)
    return module.Competition()
