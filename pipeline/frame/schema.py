"""The frames that pass between stages, and the check of those that come from outside.

train : ``image_id`` (str, unique), ``path`` (str), the task's target columns, optionally ``group``, ``extra``
    (True for images from outside, never validated on) and ``weight`` (how often an image is drawn)
test : ``image_id`` (str, unique), ``path`` (str)
truth : ``image_id`` and the task's target columns
predictions : ``image_id`` and the task's prediction columns, one row per image; probabilities, never logits
"""

from collections.abc import Sequence

import pandas as pd

from pipeline.base.errors import UserError, name_some


def check_image_frame(frame: pd.DataFrame, columns: Sequence[str], source: str) -> pd.DataFrame:
    """Check a train or test frame and return it sorted by image id, so that nothing depends on listing order.

    Parameters
    ----------
    frame : DataFrame with image_id, path and `columns`.
    source : what to call the frame in a message, such as ``train``.

    Raises
    ------
    UserError : a missing column, no rows, a missing value or an image id that occurs twice.
    """
    missing = [column for column in ("image_id", "path", *columns) if column not in frame]
    if missing:
        raise UserError(f"the {source} frame lacks the column(s) {name_some(missing)}")
    if frame.empty:
        raise UserError(f"the {source} data has no images: check that the raw files are complete")
    frame = frame.astype({"image_id": "str", "path": "str"})
    twice = frame.loc[frame["image_id"].duplicated(), "image_id"].unique()
    if len(twice):
        raise UserError(
            f"{source} has {len(twice)} duplicate image id(s): {name_some(twice)}; keep one row for each"
        )
    for column in columns:
        empty = frame.loc[frame[column].isna(), "image_id"]
        if len(empty):
            raise UserError(f"{source} has no {column} for {len(empty)} image(s): {name_some(empty)}")
    return frame.sort_values("image_id", key=natural_order, kind="stable").reset_index(drop=True)


def rows_by_id(frame: pd.DataFrame, ids: pd.Series) -> pd.DataFrame:
    """The rows of a frame that belong to these image ids, in their order."""
    return frame.set_index("image_id").loc[ids].reset_index()


def natural_order(ids: pd.Series) -> pd.Series:
    """Sort key under which ``10`` follows ``9``: digit runs are zero-padded to a fixed width."""
    return ids.str.replace(r"\d+", lambda match: match.group().zfill(20), regex=True)
