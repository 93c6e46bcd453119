"""COCO's annotation files (https://cocodataset.org/#format-data): images, categories, objects in one JSON."""

import json
from collections import Counter
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import pandas as pd
from faster_coco_eval.core import mask as coco_mask

from pipeline.base.errors import UserError, name_some
from pipeline.base.progress import say
from pipeline.frame.pairing import LOST_SHARE, pair_labels


def read_coco(
    path: Path, images: pd.DataFrame, tolerance: float = LOST_SHARE
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Read an instances file and join it to the image files by their names without suffix.

    Images without annotations have empty lists, as all have where the file lists no annotations at all (an
    ``image_info`` file). Images without a file and files that are not listed are left out and named. Run
    lengths are compressed. Polygons of fewer than three points are left out of a mask, and counted.

    Parameters
    ----------
    path : the JSON file.
    images : image_id (the file's name without suffix) and path; see `pipeline.raw.files.RawFiles.images`.
    tolerance : see `pipeline.frame.pairing.pair_labels`.

    Returns
    -------
    frame : truth frame with areas (see `pipeline.frame.boxes`) and ``coco_id``, the file's own
        integer image id.
    categories : name -> the file's own id, ascending by id. COCO's go from 1 to 90 and have gaps.

    Raises
    ------
    UserError : not COCO's JSON, ids that occur twice, an annotation of an unknown image or category, or one
        whose box or mask is malformed; names the file and the id.
    """
    content = _load(path)
    categories = _categories(content["categories"], path)
    name_of = {number: name for name, number in categories.items()}
    listed = _listed_images(content["images"], path)
    _refuse_twice([entry.get("id") for entry in content["annotations"]], "annotation id", path)
    by_image: dict[int, list[dict]] = {number: [] for number in listed["coco_id"]}
    for entry in content["annotations"]:
        for key, known, kind in (("image_id", by_image, "image"), ("category_id", name_of, "category")):
            if type(entry.get(key)) is not int or entry[key] not in known:
                raise UserError(
                    f"{path}: annotation {entry.get('id')} has the {kind} id {entry.get(key)}, which the "
                    "file does not list; repair or remove it"
                )
        by_image[entry["image_id"]].append(entry)
    columns: dict[str, list] = {name: [] for name in ("boxes", "labels", "crowd", "masks", "areas")}
    short: list[Any] = []
    for number, height, width in zip(listed["coco_id"], listed["height"], listed["width"], strict=True):
        entries = by_image[number]
        masks = [_mask(entry, height, width, path, short) for entry in entries]
        boxes = [_box(entry, path) for entry in entries]
        columns["boxes"].append(boxes)
        columns["labels"].append([name_of[entry["category_id"]] for entry in entries])
        columns["crowd"].append([int(bool(entry.get("iscrowd", 0))) for entry in entries])
        columns["masks"].append(masks)
        columns["areas"].append(
            [
                float(entry["area"])
                if type(entry.get("area")) in (int, float)
                else mask_area(mask, box, height, width)
                for entry, mask, box in zip(entries, masks, boxes, strict=True)
            ]
        )
    if short:
        say(
            f"warning: {len(short):,} polygon(s) of fewer than three points left out of their masks: "
            f"annotation {name_some(short)} ({path})"
        )
    frame = listed.assign(**columns)
    paired = pair_labels(frame, images, str(path), "the image files", tolerance)
    # Rows without a partner, left out by now, had made floats of whole numbers.
    return paired.astype(dict.fromkeys(("coco_id", "width", "height"), "int64")), categories


def run_lengths(mask: str, box: list[float], height: int, width: int) -> dict:
    """The COCO run lengths ({"size": [height, width], "counts": bytes}) of one mask of a frame.

    Parameters
    ----------
    mask : JSON of polygons or of compressed run lengths; an empty text stands for the rectangle `box`.
    box : x1, y1, x2, y2.
    """
    x1, y1, x2, y2 = box
    shape = json.loads(mask) if mask else [[x1, y1, x2, y1, x2, y2, x1, y2]]
    if isinstance(shape, dict):
        return {"size": list(shape["size"]), "counts": shape["counts"].encode("ascii")}
    polygons = coco_mask.frPyObjects(shape, height, width)
    assert isinstance(polygons, list)  # as it was given one
    return coco_mask.merge(polygons)


def mask_area(mask: str, box: list[float], height: int, width: int) -> float:
    """Pixels of a mask; of a box without one, width times height."""
    if not mask:
        return float((box[2] - box[0]) * (box[3] - box[1]))
    return float(coco_mask.area(run_lengths(mask, box, height, width)))


def _load(path: Path) -> dict[str, list[dict]]:
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"{path} is missing: check that the raw files are complete") from None
    except ValueError as error:
        raise UserError(f"{path} is not well-formed JSON ({error}): get the file again") from error
    if isinstance(content, dict):
        content = {"annotations": [], **content}
    for key in ("images", "categories", "annotations"):
        entries = content.get(key) if isinstance(content, dict) else None
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise UserError(f"{path} has no list of {key}: is it a COCO annotation file?")
    return content


def _categories(entries: list[dict], path: Path) -> dict[str, int]:
    wrong = [
        entry
        for entry in entries
        if type(entry.get("id")) is not int or not isinstance(entry.get("name"), str)
    ]
    if wrong:
        raise UserError(f"{path}: the category {wrong[0]} lacks a name or an integer id; complete it")
    _refuse_twice([entry["id"] for entry in entries], "category id", path)
    _refuse_twice([entry["name"] for entry in entries], "category name", path)
    return {entry["name"]: entry["id"] for entry in sorted(entries, key=lambda entry: entry["id"])}


def _listed_images(entries: list[dict], path: Path) -> pd.DataFrame:
    for entry in entries:
        sizes: list[Any] = [entry.get(key) for key in ("id", "width", "height")]
        if any(type(size) is not int for size in sizes) or min(sizes[1:]) < 1 or not entry.get("file_name"):
            raise UserError(
                f"{path}: the image {entry.get('id')} lacks a file_name, or an integer id, width or height; "
                "complete or remove it"
            )
    _refuse_twice([entry["id"] for entry in entries], "image id", path)
    stems = [str(entry["file_name"]).replace("\\", "/").rpartition("/")[2] for entry in entries]
    stems = [name.rpartition(".")[0] or name for name in stems]
    columns = {name: [entry[name] for entry in entries] for name in ("width", "height")}
    frame = pd.DataFrame({"image_id": stems, "coco_id": [entry["id"] for entry in entries], **columns})
    return frame.astype({"image_id": "str"})


def _refuse_twice(ids: list, what: str, path: Path) -> None:
    twice = [number for number, count in Counter(map(str, ids)).items() if count > 1]
    if twice:
        raise UserError(f"{path} uses the {what}(s) {name_some(twice)} more than once: keep one of each")


def _numbers(value: Any) -> TypeGuard[list[float]]:
    """Whether `value` is a list of numbers; True and False are none."""
    return isinstance(value, list) and all(type(number) in (int, float) for number in value)


def _integers(value: Any) -> TypeGuard[list[int]]:
    """Whether `value` is a list of integers; True and False are none."""
    return isinstance(value, list) and all(type(number) is int for number in value)


def _box(entry: dict, path: Path) -> list[float]:
    box = entry.get("bbox")
    if not _numbers(box) or len(box) != 4:
        raise UserError(
            f"{path}: annotation {entry.get('id')} has the bbox {box}, and four numbers are expected"
        )
    x, y, width, height = map(float, box)
    return [x, y, x + width, y + height]


def _mask(entry: dict, height: int, width: int, path: Path, short: list) -> str:
    """JSON of the mask, or an empty text where there is none; ids with too short polygons go to `short`."""
    shape = entry.get("segmentation")
    if not shape:
        return ""
    if isinstance(shape, dict):
        return _compressed(shape, [height, width], f"{path}: annotation {entry.get('id')}")
    if not isinstance(shape, list) or not all(_numbers(polygon) for polygon in shape):
        raise UserError(
            f"{path}: annotation {entry.get('id')} has a segmentation that is no list of polygons"
        )
    if any(len(polygon) % 2 or not np.isfinite(polygon).all() for polygon in shape):
        raise UserError(
            f"{path}: annotation {entry.get('id')} has a polygon that is not made of pairs of finite numbers"
        )
    kept = [polygon for polygon in shape if len(polygon) >= 6]
    short.extend([entry.get("id")] * (len(shape) - len(kept)))
    return json.dumps(kept, separators=(",", ":")) if kept else ""


def _compressed(shape: dict, size: list[int], name: str) -> str:
    """Run lengths as JSON with ASCII counts, once they are known to fill the image exactly."""
    counts = shape.get("counts")
    if shape.get("size") != size:
        raise UserError(f"{name} has run lengths of the size {shape.get('size')} in an image of {size}")
    if isinstance(counts, str):
        lengths = _lengths(counts)
    elif _integers(counts):
        lengths = counts
    else:
        lengths = [-1]
    if min(lengths, default=-1) < 0 or sum(lengths) != size[0] * size[1]:
        raise UserError(f"{name} has run lengths that do not add up to its {size[0] * size[1]:,} pixels")
    if not isinstance(counts, str):
        packed = coco_mask.frPyObjects(shape, *size)
        assert isinstance(packed, dict)  # as it was given one
        counts = packed["counts"].decode("ascii")
    return json.dumps({"size": size, "counts": counts}, separators=(",", ":"))


def _lengths(counts: str) -> list[int]:
    """The numbers in COCO's compressed text: six bits a character, each from the third the difference to the
    last but one. The library reads them without a check, beyond the end of its memory if need be."""
    lengths: list[int] = []
    value = shift = 0
    for character in counts:
        bits = ord(character) - 48
        if not 0 <= bits < 64:
            return [-1]
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            if bits & 16:
                value -= 1 << shift
            lengths.append(value + (lengths[-2] if len(lengths) > 2 else 0))
            value = shift = 0
    return [-1] if shift else lengths
