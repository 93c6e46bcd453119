"""Tables with the run lengths of a mask in each row, of which an image may have any number."""

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd
from faster_coco_eval.core import mask as coco_mask

from pipeline.base.errors import UserError
from pipeline.frame.box_tables import ids_of, truth_rows
from pipeline.frame.coco_masks import run_lengths
from pipeline.frame.rle import RunLengths, is_empty


def instances_of(
    table: pd.DataFrame,
    source: str,
    *,
    image: str,
    rle: str,
    size: tuple[int, int] | tuple[str, str],
    label: str | None = None,
    name: str | None = None,
    suffix: str = "",
    runs: RunLengths | None = None,
) -> pd.DataFrame:
    """One row for each image, with its masks and the boxes around them. A row with a blank mask is an image
    without any. Join them to files by `pipeline.frame.box_tables.pair_boxes`.

    Parameters
    ----------
    table : every column as text, as `RawFiles.read_csv` gives it.
    source : what a message calls the table.
    image, rle : columns of the images' ids and of the run lengths.
    size : height and width of all images in pixels, or the columns that have them.
    label : column of the class of each row.
    name : the class of all masks, where there is no such column.
    suffix : what the ids end with and the files' names without theirs do not, such as ``.jpg``.
    runs : how they are written; by default from 1, column by column.

    Returns
    -------
    Truth frame without paths and sizes, see `pipeline.frame.boxes`; images in the order of the table.

    Raises
    ------
    UserError : run lengths or a size that make no sense, an id without the suffix; names the row.
    ValueError : neither or both of `label` and `name`.
    """
    if (label is None) == (name is None):
        raise ValueError("masks have a class each: give label=, their column, or name=, the one class")
    runs = runs or RunLengths()
    images: dict[str, list[tuple[list[float], str, str]]] = {}
    sides = [table[side] if isinstance(side, str) else [side] * len(table) for side in size]
    kinds = [name] * len(table) if label is None else table[label].astype("str")
    columns = (ids_of(table, image, suffix, source), table[rle], kinds, *sides)
    for number, (image_id, text, kind, height, width) in enumerate(zip(*columns, strict=True), start=1):
        found = images.setdefault(image_id, [])
        if is_empty(text):
            continue
        try:
            mask = runs.mask(text, int(height), int(width))
        except ValueError as error:
            raise UserError(f"{source}: data row {number} has no valid run lengths: {error}") from error
        box, coded = coded_mask(mask)
        found.append((box, str(kind), coded))
    rows = [tuple(map(list, zip(*row, strict=True))) if row else ([], [], []) for row in images.values()]
    boxes, labels, masks = (list(column) for column in zip(*rows, strict=True))
    return truth_rows(list(images), boxes, labels, masks)


def coded_mask(mask: np.ndarray) -> tuple[list[float], str]:
    """The box around a mask (H, W) that is not empty, and the mask as JSON of COCO's run lengths."""
    coded = coco_mask.encode(np.asfortranarray(mask, dtype="uint8"))
    x, y, width, height = np.asarray(coco_mask.toBbox(coded), dtype="float64").tolist()
    size = [int(side) for side in coded["size"]]
    return [x, y, x + width, y + height], json.dumps(
        {"size": size, "counts": coded["counts"].decode("ascii")}
    )


def masks_of(texts: Sequence[str]) -> list[np.ndarray]:
    """bool (H, W) of each mask in a row of a predictions frame."""
    return [coco_mask.decode(run_lengths(text, [0.0] * 4, 0, 0)).astype(bool) for text in texts]
