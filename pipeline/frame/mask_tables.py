"""Tables of run lengths: one row for each image, class or object, or a column for each class."""

from collections.abc import Sequence
from typing import Literal

import pandas as pd

from pipeline.base.errors import UserError, name_some
from pipeline.base.progress import say
from pipeline.frame.pairing import LOST_SHARE, pair_labels
from pipeline.frame.rle import RunLengths, is_empty


def run_lengths_of(
    table: pd.DataFrame,
    labels: Sequence[str],
    source: str,
    *,
    image: str,
    rle: str | None = None,
    label: str | None = None,
    split: str | None = None,
    suffix: str = "",
    runs: RunLengths | None = None,
) -> pd.DataFrame:
    """One row for each image with the run lengths of each class.

    Several rows of one image and class, as one for each object, become one mask.

    Parameters
    ----------
    table : every column as text, as `RawFiles.read_csv` gives it.
    labels : what the classes are called in the table, in the task's order.
    source : what a message calls the table.
    image : column of the images' ids.
    rle : column of run lengths; None: each class has a column of its own, called like it.
    label : column of the class of each row; None: in `image` with `split`, or there is one class alone.
    split : what joins image and class in `image`, such as ``_`` in ``0a1b.jpg_Fish``; the last one counts.
    suffix : what the ids end with and the files' names without theirs do not, such as ``.jpg``.
    runs : how they are written; by default from 1, column by column.

    Returns
    -------
    DataFrame with image_id and ``masks``, a list of texts in the order of `labels`, "" for no pixels.

    Raises
    ------
    UserError : an unknown class, an id without the suffix, run lengths that make no sense; names the row.
    """
    runs = runs or RunLengths()
    ids, kinds = table[image].astype("str"), None
    if split is not None:
        parts = ids.str.rpartition(split)
        ids, kinds = parts[0], parts[2]
    elif label is not None:
        kinds = table[label].astype("str")
    elif rle is not None and len(labels) > 1:
        raise UserError(f"{source}: {len(labels)} classes share the column {rle}: name label= or split=")
    without = table.index[~ids.str.endswith(suffix)]
    if len(without):
        raise UserError(
            f"{source}: the {image} {ids[without[0]]!r} in data row {without[0] + 1} does not end with "
            f"{suffix!r}: correct it, or the suffix"
        )
    ids = ids.str.removesuffix(suffix) if suffix else ids
    if kinds is not None and not kinds.isin(list(labels)).all():
        row = kinds.index[~kinds.isin(list(labels))][0]
        raise UserError(
            f"{source}: data row {row + 1} has the class {kinds[row]!r}, and the classes are "
            f"{name_some(labels, limit=12)}: correct it, or name it where the task is made"
        )
    texts: dict[str, list[list[tuple[int, str]]]] = {}
    places = [0] * len(table) if kinds is None else [list(labels).index(kind) for kind in kinds]
    columns = {place: table[name].tolist() for place, name in enumerate(labels)} if rle is None else {}
    only = [] if rle is None else table[rle].tolist()
    for row, image_id in enumerate(ids.tolist()):
        cells = texts.setdefault(image_id, [[] for _ in labels])
        if rle is not None:
            cells[places[row]].append((row, only[row]))
        for place, column in columns.items():
            cells[place].append((row, column[row]))
    masks = [[_one(cell, runs, source) for cell in cells] for cells in texts.values()]
    return pd.DataFrame({"image_id": list(texts), "masks": masks})


def _one(cell: list[tuple[int, str]], runs: RunLengths, source: str) -> str:
    for row, text in cell:
        try:
            runs.together([text])
        except ValueError as error:
            raise UserError(f"{source}: data row {row + 1} has no valid run lengths: {error}") from error
    there = [text.strip() for _, text in cell if not is_empty(text)]
    return runs.together(there) if len(there) > 1 else "".join(there)


def pair_masks(
    masks: pd.DataFrame,
    images: pd.DataFrame,
    masks_name: str,
    images_name: str,
    *,
    absent: Literal["refuse", "empty"] = "refuse",
    tolerance: float = LOST_SHARE,
) -> pd.DataFrame:
    """Join what `run_lengths_of` gives to files by image id; see `pair_labels`.

    Parameters
    ----------
    absent : what an image without any row is: a mistake, or without any mask, which is said.
    """
    if absent == "empty" and len(masks):
        lacking = images["image_id"][~images["image_id"].isin(masks["image_id"])]
        if len(lacking):
            say(f"{len(lacking):,} of {len(images):,} images have no row in {masks_name}: they have no mask")
        count = len(masks["masks"].iloc[0])
        empty = pd.DataFrame({"image_id": lacking, "masks": [[""] * count for _ in range(len(lacking))]})
        masks = pd.concat([masks, empty], ignore_index=True)
    return pair_labels(masks, images, masks_name, images_name, tolerance)
