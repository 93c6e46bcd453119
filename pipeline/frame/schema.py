"""The frames that pass between stages, and the check of those that come from outside.

train : ``image_id`` (str, unique), ``path`` (str), the task's target columns, optionally ``group``, ``extra``
    (True for images from outside, never validated on) and ``weight`` (how often an image is drawn)
test : ``image_id`` (str, unique), ``path`` (str)
both : the reader's columns, such as ``paths``, a list, where a row has several images
    (`pipeline.readers.bag`), and those of the competition's ``table``
truth : ``image_id`` and the task's target columns
predictions : ``image_id`` and the task's prediction columns, one row per image; probabilities, never logits
"""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd

from pipeline.base.errors import UserError, name_some
from pipeline.frame.names import nfc
from pipeline.raw.listing import composed


def check_image_frame(
    frame: pd.DataFrame, columns: Sequence[str], source: str, names: Sequence[str] = ()
) -> pd.DataFrame:
    """Check a train or test frame and return it sorted by image id, so that nothing depends on listing order.

    Parameters
    ----------
    frame : DataFrame with image_id, path and `columns`.
    source : what to call the frame in a message, such as ``train``.
    names : those of `columns` that hold names, or lists of them: numbers in them become text, as ids do.

    Raises
    ------
    UserError : a missing column, no rows, a missing value, an image id that occurs twice, or two names that
        look the same.
    """
    missing = [column for column in ("image_id", "path", *columns) if column not in frame]
    if missing:
        raise UserError(f"the {source} frame lacks the column(s) {name_some(missing)}")
    if frame.empty:
        raise UserError(f"the {source} data has no images: check that the raw files are complete")
    for column in ("image_id", "path"):
        without = (np.flatnonzero(frame[column].isna()) + 1).tolist()
        if without:
            raise UserError(
                f"the {source} frame has no {column} in row(s) {name_some(without)}: complete them"
            )
    frame = frame.assign(image_id=as_text(frame["image_id"])).astype({"image_id": "str", "path": "str"})
    frame["image_id"] = nfc(frame["image_id"])
    twice = frame.loc[frame["image_id"].duplicated(), "image_id"].unique()
    if len(twice):
        raise UserError(
            f"{source} has {len(twice)} duplicate image id(s): {name_some(twice)}; keep one row for each"
        )
    for column in columns:
        empty = frame.loc[frame[column].isna(), "image_id"]
        if len(empty):
            raise UserError(f"{source} has no {column} for {len(empty)} image(s): {name_some(empty)}")
        if column in names:
            frame[column] = as_text(frame[column])
            _refuse_look_alikes(frame[column], source)
    return frame.sort_values("image_id", key=natural_order, kind="stable").reset_index(drop=True)


def as_text(cells: pd.Series) -> pd.Series:
    """Names as text, where a reader made numbers of them: 7 and 7.0 are "7". Cells of lists stay lists."""
    if isinstance(cells.dtype, pd.StringDtype):
        return cells
    return pd.Series([_text(cell) for cell in cells.tolist()], index=cells.index, name=cells.name)


def _text(cell: Any) -> Any:
    if isinstance(cell, (list, tuple, np.ndarray)):
        return [_text(value) for value in cell]
    whole = isinstance(cell, (float, np.floating)) and float(cell).is_integer()
    return cell if isinstance(cell, str) else str(int(cell) if whole else cell)


def _refuse_look_alikes(cells: pd.Series, source: str) -> None:
    """Refuse names that differ only in blanks around them or in how accents are stored: one class as two."""
    known: dict[str, str] = {}
    lists = ([cell] if isinstance(cell, str) else cell for cell in cells)
    for name in dict.fromkeys(chain.from_iterable(lists)):
        first = known.setdefault(composed(name.strip()), name)
        if first != name:
            raise UserError(
                f"{source} has the {cells.name} {first!r} and {name!r}, which look the same "
                f"({first!a} and {name!a}): spell them alike in load_train"
            )


def rows_by_id(frame: pd.DataFrame, ids: pd.Series) -> pd.DataFrame:
    """The rows of a frame that belong to these image ids, in their order."""
    return frame.set_index("image_id").loc[ids].reset_index()


def natural_order(ids: pd.Series) -> pd.Series:
    """Sort key under which ``10`` follows ``9``: digit runs are zero-padded to a fixed width."""
    return ids.str.replace(r"\d+", lambda match: match.group().zfill(20), regex=True)
