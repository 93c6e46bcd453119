"""The frames of boxes, and boxes as annotators leave them, made fit for training.

Truth frame: ``image_id``, ``path``, ``width``, ``height`` and, in each row, parallel lists: ``boxes``
([x1, y1, x2, y2] in pixels of the image as it is decoded), ``labels`` (class names), ``crowd`` (1: neither
trained on nor counted), ``masks`` (JSON of COCO polygons or compressed run lengths, or an empty text), and
optionally ``areas`` (square pixels of the object).

Predictions frame: ``image_id`` and the parallel lists ``boxes``, ``scores`` (descending), ``labels`` and
optionally ``masks``.
"""

from typing import Any

import numpy as np
import pandas as pd

from pipeline.base.errors import UserError, name_some
from pipeline.base.progress import say
from pipeline.frame.headers import image_size

PARALLEL = ("boxes", "labels", "crowd", "masks", "areas")
"""Columns that hold one value for each box."""
SMALLEST = 1.0
"""Shortest side in pixels of a box that is kept."""
ROUNDING = 0.01
"""Pixels by which a box may leave the image without a word: what two decimals of width and x add up to."""


def box_array(cell: Any) -> np.ndarray:
    """float64 (N, 4) of one row's boxes, whether they are lists or what Parquet makes of lists."""
    rows = [np.asarray(box, dtype=np.float64) for box in cell]
    return np.stack(rows) if rows else np.zeros((0, 4))


def repair_boxes(frame: pd.DataFrame) -> pd.DataFrame:
    """Clip boxes to their image and drop the broken ones, saying how many of each kind and in which images.

    Dropped are boxes with a NaN or infinite coordinate, inverted ones (x2 < x1 or y2 < y1: which corner is
    wrong cannot be told), and those with a side under 1 pixel once clipped. A second repair changes nothing.

    Parameters
    ----------
    frame : truth frame; see `pipeline.frame.boxes`. It is left as it is. Without width and height, these are
        read from the images' files.

    Returns
    -------
    The frame with shorter lists where boxes were dropped. Masks and areas of clipped boxes stay the same.

    Raises
    ------
    UserError : a box leaves the size that the frame gives its image, and the file has another: boxes that
        are cut to a wrong size are wrong themselves.
    """
    frame = _with_sizes(frame)
    present = [column for column in PARALLEL if column in frame]
    repaired: dict[str, list[list]] = {column: [] for column in present}
    found: dict[str, list[str]] = {}
    counts: dict[str, int] = {}
    columns = [frame[name] for name in ("image_id", "width", "height", *present)]
    for image_id, width, height, *values in zip(*columns, strict=True):
        row = dict(zip(present, values, strict=True))
        clipped, kinds = _clip(box_array(row["boxes"]), width, height)
        for kind, which in kinds.items():
            if which.any():
                found.setdefault(kind, []).append(image_id)
                counts[kind] = counts.get(kind, 0) + int(which.sum())
        keep = ~(kinds["not finite"] | kinds["inverted"] | kinds["too small"])
        for column in present:
            cell = clipped if column == "boxes" else row[column]
            kept = [value for value, good in zip(cell, keep, strict=True) if good]
            repaired[column].append([box.tolist() for box in kept] if column == "boxes" else kept)
    for kind, ids in found.items():
        done = "clipped to the image" if kind == "outside" else "dropped"
        say(f"warning: {counts[kind]:,} box(es) {_TEXTS[kind]}, {done}: in {name_some(ids)}")
    # Through an object array: pandas would try to make columns of lists of one length.
    return frame.assign(
        **{column: pd.Series(cells, frame.index, object) for column, cells in repaired.items()}
    )


def _with_sizes(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with width and height, which are the files' own wherever a box is to be clipped."""
    sides = ["width", "height"]
    files = frame[["image_id", "path"]].itertuples(index=False, name=None) if "path" in frame else ()
    if not set(sides) <= set(frame.columns):
        sizes = np.array([image_size(path, image_id) for image_id, path in files], dtype=np.int64)
        return frame.assign(**dict(zip(sides, sizes.reshape(-1, 2).T, strict=True)))
    wrong = []
    rows = zip(files, frame["boxes"], frame["width"], frame["height"], strict=False)
    for (image_id, path), boxes, width, height in rows:
        outside = (box_array(boxes)[:, 2:] - ROUNDING > [width, height]).any()
        if outside and (size := image_size(path, image_id)) != (width, height):
            wrong.append(f"{image_id} ({width:g} x {height:g}, the file {size[0]} x {size[1]})")
    if wrong:
        raise UserError(
            f"{len(wrong):,} image(s) have another size than their annotations say, and boxes outside it: "
            f"{name_some(wrong)}; use the images that were annotated, or where the boxes fit and only the "
            'size is wrong, write repair_boxes(frame.drop(columns=["width", "height"])) in load_train'
        )
    return frame


_TEXTS = {
    "not finite": "with a coordinate that is no finite number",
    "inverted": "whose right or lower edge precedes the other",
    "too small": f"under {SMALLEST:g} pixel wide or high within the image",
    "outside": "that left the image",
}


def _clip(boxes: np.ndarray, width: float, height: float) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Boxes within the image, and by kind which of them had that fault; each box has one at most."""
    infinite = ~np.all(np.isfinite(boxes), axis=1)
    inverted = ~infinite & np.any(boxes[:, 2:] < boxes[:, :2], axis=1)
    clipped = boxes.clip(0, [width, height, width, height])
    small = ~infinite & ~inverted & np.any(clipped[:, 2:] - clipped[:, :2] < SMALLEST, axis=1)
    moved = np.abs(np.where(np.isfinite(boxes), boxes - clipped, 0)).max(axis=1, initial=0) > ROUNDING
    outside = moved & ~infinite & ~inverted & ~small
    return clipped, {"not finite": infinite, "inverted": inverted, "too small": small, "outside": outside}
