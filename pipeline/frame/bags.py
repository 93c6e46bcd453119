"""Rows of several images: a frame with a row for each image made one with a row for each bag."""

from collections.abc import Sequence

import pandas as pd

from pipeline.base.errors import UserError, name_some
from pipeline.frame.schema import natural_order


def bags_of(
    images: pd.DataFrame, by: str, lists: Sequence[str] = (), order: str | None = None
) -> pd.DataFrame:
    """One row for each bag: ``image_id`` is its name, ``paths`` the list of its images, ``path`` the first.

    Parameters
    ----------
    images : image_id and path of each image, the bag it is in, and whatever else.
    by : column that names the bag, such as a study or a product.
    lists : columns that become lists as the paths do, such as what a reader needs of each image. All others
        must have one value in each bag, which the row keeps.
    order : column by which the images of a bag are put in order, numbers by their size; None: image_id, with
        10 after 9.

    Raises
    ------
    UserError : an image without a bag, or a column of several values in a bag; names some.
    """
    without = images.loc[images[by].isna(), "image_id"]
    if len(without):
        raise UserError(f"{len(without):,} image(s) have no {by}: {name_some(without)}; complete it")
    key = natural_order(images["image_id"].astype("str")) if order is None else images[order]
    sorted_ = images.assign(**{_KEY: key}).sort_values([_KEY], kind="stable").drop(columns=_KEY)
    groups = sorted_.groupby(by, sort=True)
    kept = [name for name in images.columns if name not in ("image_id", "path", by, *lists)]
    for name in kept:
        several = groups[name].nunique(dropna=False)
        odd = several.index[several > 1]
        if len(odd):
            raise UserError(
                f"{len(odd):,} of the bags by {by} have several values of {name}: {name_some(odd)}; make "
                "them one, drop the column, or name it in lists"
            )
    frame = groups[kept].first().reset_index() if kept else pd.DataFrame({by: list(groups.groups)})
    cells = {"paths": groups["path"].agg(list), **{name: groups[name].agg(list) for name in lists}}
    frame = frame.assign(**{name: column.reindex(frame[by]).to_numpy() for name, column in cells.items()})
    return frame.rename(columns={by: "image_id"}).assign(path=[paths[0] for paths in frame["paths"]])


_KEY = "\0order"
