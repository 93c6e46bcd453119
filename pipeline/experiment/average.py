"""Aligning predictions of several runs by image id, and never by position."""

from collections.abc import Sequence

import pandas as pd

from pipeline.base.errors import UserError, name_some


def aligned(frames: Sequence[pd.DataFrame], names: Sequence[str]) -> list[pd.DataFrame]:
    """Predictions of the same images in the first frame's row order.

    Raises
    ------
    UserError : a frame with other image ids or other columns than the first; names it.
    """
    first = frames[0]
    result = [first]
    for frame, name in zip(frames[1:], names[1:], strict=True):
        if set(frame["image_id"]) != set(first["image_id"]) or len(frame) != len(first):
            odd = sorted(set(frame["image_id"]) ^ set(first["image_id"]))
            raise UserError(
                f"{name} and {names[0]} predict different images ({len(odd)} ids: {name_some(odd)}): "
                "take runs of the same data and folds"
            )
        if list(frame.columns) != list(first.columns):
            raise UserError(f"{name} and {names[0]} predict different columns")
        result.append(frame.set_index("image_id").loc[first["image_id"]].reset_index())
    return result
