"""Joining labels to files by image id, never by position."""

import pandas as pd

from pipeline.base.errors import UserError, name_some
from pipeline.base.progress import say


def pair_labels(labels: pd.DataFrame, files: pd.DataFrame, labels_name: str, files_name: str) -> pd.DataFrame:
    """Keep the images that have both a label and a file, and say how many do not, by name.

    Parameters
    ----------
    labels : image_id and target columns, read from `labels_name`.
    files : image_id and path, found in `files_name`.

    Returns
    -------
    DataFrame with image_id, path and the target columns.

    Raises
    ------
    UserError : no labels, an id that is labelled twice, or no id in common.
    """
    if labels.empty:
        raise UserError(f"{labels_name} lists no images: check that the raw files are complete")
    twice = labels.loc[labels["image_id"].duplicated(), "image_id"].unique()
    if len(twice):
        raise UserError(
            f"{labels_name} lists {len(twice)} id(s) more than once: {name_some(twice)}; "
            "keep one row for each"
        )
    joined = files.merge(labels, on="image_id", how="outer", indicator=True)
    both = joined[joined["_merge"] == "both"].drop(columns="_merge")
    if both.empty:
        raise UserError(
            f"no id in {labels_name} (such as {labels['image_id'].iloc[0]}) has a file in {files_name}"
            + (f" (such as {files['image_id'].iloc[0]})" if len(files) else ", which has no images")
        )
    for side, text in (("right_only", "labels without files"), ("left_only", "files without labels")):
        ids = joined.loc[joined["_merge"] == side, "image_id"].tolist()
        if ids:
            ids.sort(key=lambda name: (len(name), name))
            say(f"warning: {len(ids):,} {text}, left out: {name_some(ids)} ({labels_name}, {files_name})")
    return both.reset_index(drop=True)
