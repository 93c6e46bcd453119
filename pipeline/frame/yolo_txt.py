"""YOLO's label files: beside each image a text of rows ``class cx cy w h``, as shares of width and height.

A row may hold a polygon instead, ``class x1 y1 x2 y2 x3 y3 ...``, as Ultralytics' segmentation data do.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.base.errors import UserError, name_some
from pipeline.base.progress import say
from pipeline.frame.headers import image_size
from pipeline.frame.label_files import files_of

TOLERANCE = 1e-3
"""By how much a share may leave 0 to 1: labels are rounded."""


def read_yolo(labels: Path, images: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Read ``<image_id>.txt`` of every image. An image without a file, or with an empty one, has no objects.

    Parameters
    ----------
    labels : the folder of text files; ``classes.txt`` is not a label file.
    images : image_id and path; the headers of the files are read for their sizes.
    names : class names by index.

    Returns
    -------
    Truth frame (see `pipeline.frame.boxes`), one row for each of `images`, in their order.

    Raises
    ------
    UserError : no label file fits an image, or a malformed row; names the file and the line.
    """
    if not labels.is_dir():
        raise UserError(f"{labels} is no folder of label files: check that the raw files are complete")
    files = {file.stem: file for file in files_of(labels, ".txt") if file.name != "classes.txt"}
    without_image = sorted(set(files) - set(images["image_id"]))
    without_file = sorted(set(images["image_id"]) - set(files))
    if len(without_file) == len(images):
        raise UserError(f"no image has a label file in {labels}: a file is named like its image, with .txt")
    for ids, text in ((without_image, "label files without images, left out"), (without_file, _NO_LABELS)):
        if ids:
            say(f"warning: {len(ids):,} {text}: {name_some(ids)} ({labels})")
    rows = []
    for image_id, path in zip(images["image_id"], images["path"], strict=True):
        width, height = image_size(path, image_id)
        objects = _read(files[image_id], width, height, names) if image_id in files else []
        boxes, found, masks = (
            (list(column) for column in zip(*objects, strict=True)) if objects else ([],) * 3
        )
        rows.append((image_id, path, width, height, list(boxes), list(found), [0] * len(boxes), list(masks)))
    columns = ["image_id", "path", "width", "height", "boxes", "labels", "crowd", "masks"]
    return pd.DataFrame(rows, columns=columns).astype({"image_id": "str", "path": "str"})


_NO_LABELS = "images without label files, taken to show no objects"


def _read(file: Path, width: int, height: int, names: Sequence[str]) -> list[tuple[list[float], str, str]]:
    """(box, class name, mask) of each row that is not blank."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is not a text file in UTF-8: get the file again") from error
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror}): get the file again") from error
    return [
        _parse(line.split(), width, height, names, f"{file}, line {number}")
        for number, line in enumerate(lines, start=1)
        if line.strip()
    ]


def _parse(
    words: list[str], width: int, height: int, names: Sequence[str], where: str
) -> tuple[list[float], str, str]:
    if len(words) != 5 and (len(words) < 7 or len(words) % 2 == 0):
        raise UserError(
            f"{where} has {len(words)} values; a class and 4 numbers of a box, or 3 or more points of a "
            "polygon, are expected"
        )
    # Compared as text: Python refuses to make an integer of thousands of digits.
    number = words[0].lstrip("0") or "0"
    if number not in map(str, range(len(names))):
        raise UserError(f"{where} has the class {words[0][:40]!r}, and they go from 0 to {len(names) - 1}")
    try:
        values = np.array([float(word) for word in words[1:]])
    except ValueError as error:
        raise UserError(f"{where} is no row of numbers ({error}); repair it") from error
    if not ((values >= -TOLERANCE) & (values <= 1 + TOLERANCE)).all():
        raise UserError(f"{where} has a coordinate outside 0 to 1: they are shares of width and height")
    name = names[int(number)]
    if len(words) == 5:
        centre, size = values[:2], values[2:]
        corners = np.concatenate([centre - size / 2, centre + size / 2])
        return (corners * [width, height, width, height]).tolist(), name, ""
    points = values.reshape(-1, 2) * [width, height]
    mask = json.dumps([points.ravel().tolist()], separators=(",", ":"))
    return [*points.min(axis=0).tolist(), *points.max(axis=0).tolist()], name, mask
