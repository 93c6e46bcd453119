"""Tables of boxes: a row for each box, or all boxes of an image in one cell."""

import re
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
import torch

from ops import box_iou
from pipeline.base.errors import UserError
from pipeline.base.progress import say
from pipeline.frame.boxes import box_array
from pipeline.frame.pairing import LOST_SHARE, pair_labels

Form = Literal["xywh", "xyxy", "centre"]
"""What the four numbers of a box are: left, top, width, height; left, top, right, bottom; or centre x, centre
y, width, height."""
NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?(?![\w.])", re.IGNORECASE)
AROUND = re.compile(r"(?:[\s,;:()\[\]{}]|'\w+'|\"\w+\")*")
"""What may stand between numbers: the brackets, commas and keys of a list as Python or JSON write it."""


def boxes_of(
    table: pd.DataFrame,
    source: str,
    *,
    image: str,
    box: str | Sequence[str],
    form: Form = "xywh",
    label: str | None = None,
    name: str | None = None,
    rater: str | None = None,
    agree: float = 0.5,
    suffix: str = "",
) -> pd.DataFrame:
    """One row for each image, with its boxes. A row with nothing where the box should be is an image without
    any, or adds nothing to the others of its image; its class does not matter.

    Parameters
    ----------
    table : every column as text, as `RawFiles.read_csv` gives it; columns that may be blank are ``optional``
        there.
    source : what a message calls the table.
    image : column of the images' ids.
    box : four columns, or one whose cells hold four numbers for each box, whatever brackets, commas and
        quoted keys stand between them: ``[3, 4, 10, 12]``, ``3 4 10 12``, ``[{'x': 3, 'y': 4, ...}]``.
    form : which four numbers these are; in pixels.
    label : column of the class of each row.
    name : the class of all boxes, where there is no such column.
    rater : column of who drew a box, where several people drew the same objects. Boxes of one class by
        different raters become one, their mean, where their IoU is at least `agree`; other boxes stay.
    suffix : what the ids end with and the files' names without theirs do not, such as ``.jpg``.

    Returns
    -------
    Truth frame without paths and sizes, see `pipeline.frame.boxes`; images in the order of the table.

    Raises
    ------
    UserError : a cell that is not blank and not four numbers, a box in part blank or without a class, an id
        without the suffix; names the row.
    ValueError : neither or both of `label` and `name`.
    """
    if (label is None) == (name is None):
        raise ValueError("boxes have a class each: give label=, their column, or name=, the one class")
    ids = ids_of(table, image, suffix, source)
    columns = [box] if isinstance(box, str) else list(box)
    texts = table[columns].astype("str").agg(" , ".join, axis=1) if len(columns) > 1 else table[columns[0]]
    found = [_numbers(text, columns, f"{source}: data row {row + 1}") for row, text in enumerate(texts)]
    counts = [len(one) for one in found]
    row_of = np.repeat(np.arange(len(table)), counts)
    labels = np.full(len(row_of), name, dtype=object)
    if label is not None:
        labels = table[label].astype("str").to_numpy(dtype=object)[row_of]
        nameless = row_of[[not text.strip() for text in labels]]
        if len(nameless):
            raise UserError(f"{source}: data row {nameless[0] + 1} has a box and no {label}: complete it")
    people = None if rater is None else table[rater].astype("str").to_numpy(dtype=object)[row_of]
    corners = _corners(np.concatenate([np.zeros((0, 4)), *found]), form)
    owners, names = pd.factorize(ids)
    order = np.argsort(owners[row_of], kind="stable")
    ends = np.cumsum(np.bincount(owners[row_of], minlength=len(names)))
    rows = []
    for places in np.split(order, ends[:-1]):
        boxes, kinds = corners[places], labels[places]
        if people is not None:
            boxes, kinds = _agreed(boxes, kinds, people[places], agree)
        rows.append((boxes.tolist(), kinds.tolist()))
    return truth_rows(names, [boxes for boxes, _ in rows], [kinds for _, kinds in rows])


def pair_boxes(
    boxes: pd.DataFrame,
    images: pd.DataFrame,
    boxes_name: str,
    images_name: str,
    *,
    absent: Literal["refuse", "empty"] = "refuse",
    tolerance: float = LOST_SHARE,
) -> pd.DataFrame:
    """Join what `boxes_of` gives to files by image id; see `pair_labels`.

    Parameters
    ----------
    absent : what an image without any row is: a mistake, or without any box, which is said.
    """
    if absent == "empty" and len(boxes):
        lacking = images["image_id"][~images["image_id"].isin(boxes["image_id"])].tolist()
        if lacking:
            say(f"{len(lacking):,} of {len(images):,} images have no row in {boxes_name}: they have no box")
        none: list[list] = [[] for _ in lacking]
        boxes = pd.concat([boxes, truth_rows(lacking, none, none)], ignore_index=True)
    return pair_labels(boxes, images, boxes_name, images_name, tolerance)


def ids_of(table: pd.DataFrame, column: str, suffix: str, source: str) -> pd.Series:
    """The ids of a table's rows without their suffix. Raises UserError naming a row whose id lacks it."""
    ids = table[column].astype("str")
    without = table.index[~ids.str.endswith(suffix)]
    if len(without):
        raise UserError(
            f"{source}: the {column} {ids[without[0]]!r} in data row {without[0] + 1} does not end with "
            f"{suffix!r}: correct it, or the suffix"
        )
    return ids.str.removesuffix(suffix) if suffix else ids


def truth_rows(
    ids: Sequence[str] | pd.Index,
    boxes: list[list],
    labels: list[list],
    masks: list[list] | None = None,
) -> pd.DataFrame:
    """A truth frame without paths and sizes, of lists for each image; without `masks` boxes have none."""
    cells = {
        "boxes": boxes,
        "labels": labels,
        "crowd": [[0] * len(one) for one in boxes],
        "masks": masks or [[""] * len(one) for one in boxes],
    }
    # Through an object array: pandas would try to make columns of lists of one length.
    lists = {name: pd.Series(cell, dtype=object) for name, cell in cells.items()}
    return pd.DataFrame({"image_id": pd.Series(ids, dtype="str"), **lists})


def _numbers(text: str, columns: Sequence[str], where: str) -> np.ndarray:
    """float64 (K, 4) of a row's cells."""
    words = NUMBER.findall(text)
    if len(words) % 4 or not AROUND.fullmatch(NUMBER.sub(" ", text)) or len(columns) > 1 < len(words) // 4:
        raise UserError(
            f"{where} has {text[:80]!r} in {', '.join(columns)}, and four numbers for each box are expected, "
            "or nothing: correct or remove it"
        )
    return np.array(words, dtype="float64").reshape(-1, 4)


def _corners(numbers: np.ndarray, form: Form) -> np.ndarray:
    """float64 (N, 4) in xyxy."""
    if form == "xyxy":
        return numbers
    first, sides = numbers[:, :2], numbers[:, 2:]
    if form == "centre":
        first = first - sides / 2
    return np.concatenate([first, first + sides], axis=1)


def _agreed(
    boxes: np.ndarray, labels: np.ndarray, raters: np.ndarray, iou: float
) -> tuple[np.ndarray, np.ndarray]:
    """Boxes with those that several raters drew of one object as one. Each box in turn joins the object of
    its class that it overlaps most, of those that its rater has not drawn yet."""
    groups: list[list[int]] = []
    for place in range(len(boxes)):
        best, most = None, iou
        for group in groups:
            if labels[group[0]] != labels[place] or raters[place] in raters[group]:
                continue
            pair = (torch.from_numpy(box_array(one)) for one in ([boxes[group].mean(axis=0)], [boxes[place]]))
            overlap = float(box_iou(*pair, validate=False))  # an inverted box overlaps none
            if overlap >= most:
                best, most = group, overlap
        if best is None:
            groups.append([place])
        else:
            best.append(place)
    means = [boxes[group].mean(axis=0) for group in groups]
    return box_array(means), labels[[group[0] for group in groups]]
