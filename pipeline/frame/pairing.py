"""Joining labels to files by image id, never by position."""

import pandas as pd

from pipeline.base.errors import UserError, name_some
from pipeline.base.progress import say
from pipeline.frame.names import cause, nfc

LOST_SHARE = 0.01
"""Share of the labels, or of the files, from which on missing partners are no slip but a mistake."""
LOST_FEW = 3
"""So many may lack a partner in any case: a share of few images is nothing."""


def pair_labels(
    labels: pd.DataFrame,
    files: pd.DataFrame,
    labels_name: str,
    files_name: str,
    tolerance: float = LOST_SHARE,
) -> pd.DataFrame:
    """Keep the images that have both a label and a file, and say how many do not, by name.

    Ids meet in Unicode's composed form (NFC).

    Parameters
    ----------
    labels : image_id and target columns, read from `labels_name`.
    files : image_id and path, found in `files_name`.
    tolerance : largest share of either side that may lack a partner; 1 where a part of the images is meant.

    Returns
    -------
    DataFrame with image_id, path and the target columns.

    Raises
    ------
    UserError : no labels, an id that is labelled twice, no id in common, more without a partner than
        `tolerance` allows, or any whose names differ in spelling alone, such as in leading zeros.
    """
    if labels.empty:
        raise UserError(f"{labels_name} lists no images: check that the raw files are complete")
    labels = labels.assign(image_id=nfc(labels["image_id"].astype("str")))
    files = files.assign(image_id=nfc(files["image_id"].astype("str")))
    twice = labels.loc[labels["image_id"].duplicated(), "image_id"].unique()
    if len(twice):
        raise UserError(
            f"{labels_name} lists {len(twice)} id(s) more than once: {name_some(twice)}; "
            "keep one row for each"
        )
    joined = files.merge(labels, on="image_id", how="outer", indicator=True)
    both = joined[joined["_merge"] == "both"].drop(columns="_merge")
    alone = {side: joined.loc[joined["_merge"] == side, "image_id"].tolist() for side in _SIDES}
    reason = cause(alone["right_only"], alone["left_only"])
    if both.empty:
        raise UserError(
            f"no id in {labels_name} (such as {labels['image_id'].iloc[0]}) has a file in {files_name}"
            + (f" (such as {files['image_id'].iloc[0]})" if len(files) else ", which has no images")
            + (f": {reason}" if reason else "; check that both are of one data set")
        )
    if reason:
        raise UserError(f"of the ids in {labels_name} and the files in {files_name}, {reason}")
    for (side, text), total in zip(_SIDES.items(), (len(labels), len(files)), strict=True):
        ids = sorted(alone[side], key=lambda name: (len(name), name))
        if len(ids) > max(LOST_FEW, tolerance * total):
            raise UserError(
                f"{len(ids):,} of {total:,} {text}: {name_some(ids)} ({labels_name}, {files_name}); "
                "complete the raw files, or where a part is meant, join them with tolerance=1 in load_train"
            )
        if ids:
            say(f"warning: {len(ids):,} {text}, left out: {name_some(ids)} ({labels_name}, {files_name})")
    return both.reset_index(drop=True)


_SIDES = {"right_only": "labels without files", "left_only": "files without labels"}
