"""Masks as COCO writes them: polygons, or run lengths that count from the first pixel, column by column."""

import json
from typing import Any, TypeGuard

import numpy as np
from faster_coco_eval.core import mask as coco_mask

from pipeline.base.errors import UserError

REACH = 10
"""By how many of its longer side a polygon may reach from an image's corner."""


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


def mask_text(shape: Any, height: int, width: int, name: str) -> tuple[str, int]:
    """JSON of a ``segmentation``, or an empty text where there is none; and how many of its polygons have
    fewer than three points and are left out.

    Parameters
    ----------
    name : what to call the object in a message.

    Raises
    ------
    UserError : it is malformed, or does not fit an image of this size.
    """
    if not shape:
        return "", 0
    if isinstance(shape, dict):
        return _compressed(shape, [height, width], name), 0
    if not isinstance(shape, list) or not all(isinstance(polygon, list) for polygon in shape):
        raise UserError(f"{name} has a segmentation that is no list of polygons")
    for polygon in shape:
        numbers = numbers_in(polygon)
        if numbers is None or len(numbers) % 2 or not np.isfinite(numbers).all():
            raise UserError(f"{name} has a polygon that is not made of pairs of finite numbers")
        # The library walks along every edge, for hours if it is long.
        if numbers and max(map(abs, numbers)) > REACH * max(height, width):
            raise UserError(
                f"{name} has a polygon that leaves its image of {width} x {height} pixels by far; correct it"
            )
    kept = [polygon for polygon in shape if len(polygon) >= 6]
    return json.dumps(kept, separators=(",", ":")) if kept else "", len(shape) - len(kept)


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
        if not 0 <= bits < 64 or shift > 60:
            return [-1]
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            if bits & 16:
                value -= 1 << shift
            lengths.append(value + (lengths[-2] if len(lengths) > 2 else 0))
            value = shift = 0
    return [-1] if shift else lengths


def numbers_in(value: Any) -> list[float] | None:
    """The numbers in a list; None for anything else. True and False are no numbers, nor is 10**400."""
    if not isinstance(value, list) or any(type(number) not in (int, float) for number in value):
        return None
    try:
        return list(map(float, value))
    except OverflowError:
        return None


def _integers(value: Any) -> TypeGuard[list[int]]:
    """Whether `value` is a list of integers; True and False are none."""
    return isinstance(value, list) and all(type(number) is int for number in value)
