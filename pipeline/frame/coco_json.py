"""COCO's annotation files (https://cocodataset.org/#format-data): images, categories, objects in one JSON."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.base.errors import UserError, name_some
from pipeline.base.progress import say
from pipeline.frame.coco_masks import mask_area, mask_text, numbers_in
from pipeline.frame.label_files import marked
from pipeline.frame.pairing import LOST_SHARE, pair_labels

BEYOND = 2**63
"""Ids are below this, so that a column of them has a type."""
LARGEST = 10**6
"""Longest side of an image in pixels."""


def read_coco(
    path: Path, images: pd.DataFrame, tolerance: float = LOST_SHARE
) -> tuple[pd.DataFrame, dict[str, int | str]]:
    """Read an instances file and join it to the image files by their names without suffix, and by their
    folders' where the file lists one name in several folders.

    Images without annotations have empty lists, as all have where the file lists no annotations at all (an
    ``image_info`` file). Images without a file and files that are not listed are left out and named. Run
    lengths are compressed. Polygons of fewer than three points are left out of a mask, and counted; an area
    that is no finite number from 0 on is replaced by that of the mask or box, and counted.

    Parameters
    ----------
    path : the JSON file.
    images : image_id (the file's name without suffix) and path; see `pipeline.raw.files.RawFiles.images`.
    tolerance : see `pipeline.frame.pairing.pair_labels`.

    Returns
    -------
    frame : truth frame with areas (see `pipeline.frame.boxes`) and ``coco_id``, the file's own
        image id, an integer or a text.
    categories : name -> the file's own id, ascending by id. COCO's go from 1 to 90 and have gaps.

    Raises
    ------
    UserError : not COCO's JSON, ids that occur twice, an annotation of an unknown image or category, or one
        whose box or mask is malformed; names the file and the id.
    """
    content = _load(path)
    categories = _categories(content["categories"], path)
    name_of = {number: name for name, number in categories.items()}
    listed = _listed_images(content["images"], images, path)
    _refuse_twice([entry.get("id") for entry in content["annotations"]], "annotation id", path)
    by_image: dict[int | str, list[dict]] = {number: [] for number in listed["coco_id"]}
    for entry in content["annotations"]:
        for key, known, kind in (("image_id", by_image, "image"), ("category_id", name_of, "category")):
            if _id(entry.get(key)) not in known:
                raise UserError(
                    f"{path}: annotation {entry.get('id')} has the {kind} id {entry.get(key)!r}, which the "
                    "file does not list; repair or remove it"
                )
        by_image[entry["image_id"]].append(entry)
    columns: dict[str, list] = {name: [] for name in ("boxes", "labels", "crowd", "masks", "areas")}
    left_out: dict[str, list] = {kind: [] for kind in _LEFT_OUT}
    for number, height, width in zip(listed["coco_id"], listed["height"], listed["width"], strict=True):
        entries = by_image[number]
        masks = [_mask(entry, (height, width), path, left_out["short"]) for entry in entries]
        boxes = [_box(entry, path) for entry in entries]
        columns["boxes"].append(boxes)
        columns["labels"].append([name_of[entry["category_id"]] for entry in entries])
        columns["crowd"].append([_crowd(entry, path) for entry in entries])
        columns["masks"].append(masks)
        columns["areas"].append(
            [
                _area(entry, mask, box, (height, width), left_out["area"])
                for entry, mask, box in zip(entries, masks, boxes, strict=True)
            ]
        )
    for kind, ids in left_out.items():
        if ids:
            say(f"warning: {len(ids):,} {_LEFT_OUT[kind]}: annotation {name_some(ids)} ({path})")
    frame = listed.assign(**columns)
    paired = pair_labels(frame, images, str(path), "the image files", tolerance)
    # Rows without a partner, left out by now, had made floats of whole numbers.
    return paired.astype(
        {"width": "int64", "height": "int64", "coco_id": listed["coco_id"].dtype}
    ), categories


_LEFT_OUT = {
    "short": "polygon(s) of fewer than three points left out of their masks",
    "area": "area(s) that are no finite number from 0 on, replaced by those of the masks or boxes",
}


def _load(path: Path) -> dict[str, list[dict]]:
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"{path} is missing: check that the raw files are complete") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): get the file again") from error
    except ValueError as error:
        raise UserError(f"{path} is not well-formed JSON ({error}): get the file again") from error
    except RecursionError:
        raise UserError(f"{path} is nested too deeply for a COCO annotation file: get it again") from None
    if isinstance(content, dict):
        content = {"annotations": [], **content}
    for key in ("images", "categories", "annotations"):
        entries = content.get(key) if isinstance(content, dict) else None
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise UserError(f"{path} has no list of {key}: is it a COCO annotation file?")
    return content


def _id(value: Any) -> int | str | None:
    """An id as pycocotools matches it: 7.0 is 7, and a text is itself. None for what is no id."""
    if isinstance(value, str):
        return value or None
    whole = type(value) is int or (type(value) is float and value.is_integer())
    return int(value) if whole and abs(value) < BEYOND else None


def _categories(entries: list[dict], path: Path) -> dict[str, int | str]:
    wrong = [
        entry for entry in entries if _id(entry.get("id")) is None or not isinstance(entry.get("name"), str)
    ]
    if wrong:
        raise UserError(f"{path}: the category {str(wrong[0])[:200]} lacks a name or an id; complete it")
    _refuse_twice([_id(entry["id"]) for entry in entries], "category id", path)
    _refuse_twice([entry["name"] for entry in entries], "category name", path)
    named = {entry["name"]: number for entry in entries if (number := _id(entry["id"])) is not None}
    return dict(sorted(named.items(), key=lambda item: (isinstance(item[1], str), item[1])))


def _listed_images(entries: list[dict], images: pd.DataFrame, path: Path) -> pd.DataFrame:
    sizes: list[tuple] = []
    for entry in entries:
        size = tuple(_id(entry.get(key)) for key in ("width", "height"))
        sizes.append(size)
        sound = all(isinstance(side, int) and 0 < side <= LARGEST for side in size)
        if not sound or _id(entry.get("id")) is None or not entry.get("file_name"):
            raise UserError(
                f"{path}: the image {str(entry.get('id'))[:40]} lacks a file_name, an id, or a width and "
                "height in whole pixels; complete or remove it"
            )
    ids = [_id(entry["id"]) for entry in entries]
    _refuse_twice(ids, "image id", path)
    if len({type(number) for number in ids}) > 1:
        raise UserError(f"{path} has both numbers and texts as image ids: write all of them as one kind")
    names = [str(entry["file_name"]).replace("\\", "/") for entry in entries]
    widths, heights = ([size[side] for size in sizes] for side in range(2))
    frame = pd.DataFrame(
        {"image_id": _image_ids(names, images), "coco_id": ids, "width": widths, "height": heights}
    )
    return frame.astype({"image_id": "str"})


def _image_ids(names: list[str], images: pd.DataFrame) -> list[str]:
    """The name without folder and suffix of each listed file; where several have the same, the id of the
    image file whose path ends as the listed one does, or else the name with its folder."""
    stems = [_stem(name.rpartition("/")[2]) for name in names]
    counts = Counter(stems)
    depths = {name.count("/") + 1 for name, stem in zip(names, stems, strict=True) if counts[stem] > 1}
    parts = [
        (image_id, Path(path).parts)
        for image_id, path in zip(images["image_id"], images["path"], strict=True)
    ]
    at = {"/".join(found[-depth:]): image_id for depth in depths for image_id, found in parts}
    return [
        stem if counts[stem] == 1 else at.get(name, _stem(name))
        for name, stem in zip(names, stems, strict=True)
    ]


def _stem(name: str) -> str:
    return name.rpartition(".")[0] or name


def _refuse_twice(ids: list, what: str, path: Path) -> None:
    twice = [number for number, count in Counter(map(str, ids)).items() if count > 1]
    if twice:
        raise UserError(f"{path} uses the {what}(s) {name_some(twice)} more than once: keep one of each")


def _crowd(entry: dict, path: Path) -> int:
    crowd = marked(entry.get("iscrowd"))
    if crowd is None:
        raise UserError(
            f"{path}: annotation {entry.get('id')} has the iscrowd {entry['iscrowd']!r}, which is neither 0 "
            "nor 1; correct it"
        )
    return crowd


def _area(entry: dict, mask: str, box: list[float], size: tuple[int, int], wrong: list) -> float:
    """The area given, or that of the mask or box; ids with an area that makes no sense go to `wrong`."""
    given = entry.get("area")
    if given is not None:
        numbers = numbers_in([given])
        if numbers and 0 <= numbers[0] < np.inf:
            return numbers[0]
        wrong.append(entry.get("id"))
    return mask_area(mask, box, *size)


def _box(entry: dict, path: Path) -> list[float]:
    box = numbers_in(entry.get("bbox"))
    if box is None or len(box) != 4:
        raise UserError(
            f"{path}: annotation {entry.get('id')} has the bbox {str(entry.get('bbox'))[:100]}, and four "
            "numbers are expected"
        )
    x, y, width, height = box
    return [x, y, x + width, y + height]


def _mask(entry: dict, size: tuple[int, int], path: Path, short: list) -> str:
    """The mask as text; ids with too short polygons go to `short`."""
    text, count = mask_text(entry.get("segmentation"), *size, f"{path}: annotation {entry.get('id')}")
    short.extend([entry.get("id")] * count)
    return text
