"""Frame in, frame with a ``fold`` column out; nothing else touches the frame.

Images with the same content hash always share a fold: a copy of a validation image in training is a leak.
"""

import warnings

import numpy as np
import pandas as pd

from pipeline.base.errors import UserError, name_some
from pipeline.config.groups import FoldConfig

TRAIN_ONLY = -1
"""Fold of an image that no fold validates on: it is always trained on."""
EXTRA = "extra"
"""Column of a train frame: True for images from outside, which are trained on and never validated on."""


def assign_folds(frame: pd.DataFrame, strata: pd.Series, config: FoldConfig) -> pd.DataFrame:
    """Split training images into folds.

    Parameters
    ----------
    frame : image_id, content_hash, for the group schemes group, and optionally `EXTRA`. Any row order gives
        the same split.
    strata : one value per row of `frame`, whose shares every fold should keep: the label, for classification.
    config : scheme, number of folds and seed.

    Returns
    -------
    DataFrame with columns image_id and fold (int64: 0 to count-1, or -1 for training only), in `frame`'s row
    order.

    Raises
    ------
    UserError : too few images or groups for the folds asked for, a scheme that needs a missing group column.
    """
    extra = frame[EXTRA].to_numpy(dtype=bool) if EXTRA in frame else np.zeros(len(frame), dtype=bool)
    fold = np.full(len(frame), TRAIN_ONLY, dtype="int64")
    own = frame[~extra]
    _refuse_copies(own, frame[extra])
    units, unit_of_row = _units(own, strata[~extra], config)
    unit_fold = _holdout(units, config) if config.scheme == "holdout" else _k_fold(units, config)
    fold[~extra] = unit_fold.reindex(unit_of_row).to_numpy()
    return pd.DataFrame({"image_id": frame["image_id"].to_numpy(), "fold": fold})


def _refuse_copies(own: pd.DataFrame, extra: pd.DataFrame) -> None:
    copies = extra.loc[extra["content_hash"].isin(own["content_hash"]), "image_id"]
    if len(copies):
        raise UserError(
            f"{len(copies)} image(s) from outside are copies of the competition's own, which would leak into "
            f"validation: {name_some(copies)}; leave them out"
        )


def _units(frame: pd.DataFrame, strata: pd.Series, config: FoldConfig) -> tuple[pd.DataFrame, np.ndarray]:
    """One row per set of identical images, sorted by a name that does not depend on row order; and which of
    them each row of `frame` belongs to."""
    rows = pd.DataFrame(
        {
            "image_id": frame["image_id"].to_numpy(),
            "unit": frame["content_hash"].to_numpy(),
            "stratum": strata.to_numpy(),
        }
    )
    if config.scheme in ("group", "stratified_group"):
        if "group" not in frame:
            raise UserError(
                f"folds.scheme={config.scheme} needs a group column, and this competition has none"
            )
        without = frame.loc[frame["group"].isna(), "image_id"]
        if len(without):
            raise UserError(
                f"folds.scheme={config.scheme} needs a group for every image, and {len(without)} have none: "
                f"{name_some(without)}"
            )
        rows["group"] = _joined_groups(frame["group"].to_numpy(), rows["unit"].to_numpy())
    units = rows.sort_values("image_id").groupby("unit", sort=True).first().sort_values("image_id")
    return units, rows["unit"].to_numpy()


def _joined_groups(groups: np.ndarray, hashes: np.ndarray) -> np.ndarray:
    """Merge groups that share an identical image, so that keeping groups whole also keeps copies together."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    group_code, hash_code = pd.factorize(groups)[0], pd.factorize(hashes)[0]
    offset = group_code.max() + 1
    size = offset + hash_code.max() + 1
    links = coo_matrix((np.ones(len(groups)), (group_code, offset + hash_code)), shape=(size, size))
    component = connected_components(links, directed=False)[1][group_code]
    # Name a component by its smallest group, which does not depend on row order.
    names = pd.Series(groups.astype(str)).groupby(component).min()
    return names.loc[component].to_numpy()


def _k_fold(units: pd.DataFrame, config: FoldConfig) -> pd.Series:
    # Not at the top: reorganising a large dataset need not carry scikit-learn's 60 MB.
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold, StratifiedKFold

    grouped = config.scheme != "stratified"
    available = units["group"].nunique() if grouped else len(units)
    if available < config.count:
        raise UserError(
            f"{config.count} folds need at least as many {'groups' if grouped else 'different images'}, "
            f"and there are {available}: lower folds.count"
        )
    splitter_class = {
        "stratified": StratifiedKFold,
        "group": GroupKFold,
        "stratified_group": StratifiedGroupKFold,
    }
    splitter = splitter_class[config.scheme](n_splits=config.count, shuffle=True, random_state=config.seed)
    strata = _pool_rare(units["stratum"], config.count)
    groups = units["group"] if grouped else None
    fold = pd.Series(TRAIN_ONLY, index=units.index)
    with warnings.catch_warnings():
        # The pool of rare classes may still have fewer members than there are folds, which is fine.
        warnings.filterwarnings("ignore", "The least populated class in y")
        for number, (_, valid) in enumerate(splitter.split(units, strata, groups)):
            fold.iloc[valid] = number
    return fold


def _pool_rare(strata: pd.Series, count: int) -> pd.Series:
    """Pool classes with fewer members than folds, which a stratified splitter refuses or cannot spread."""
    sizes = strata.map(strata.value_counts())
    return strata.astype(str).where(sizes >= count, "\0rare")


def _holdout(units: pd.DataFrame, config: FoldConfig) -> pd.Series:
    """The same share of every class: of each that has two images, at least one is held out and one kept."""
    random = np.random.default_rng(config.seed)
    fold = pd.Series(TRAIN_ONLY, index=units.index)
    for _, members in units.groupby("stratum", sort=True):
        count = min(len(members) - 1, max(1, round(len(members) * config.valid_ratio)))
        fold.loc[random.permutation(members.index.to_numpy())[:count]] = 0
    if (fold == 0).sum() == 0:
        raise UserError(
            f"holding out {config.valid_ratio:g} of {len(units)} different images leaves none: add images"
        )
    return fold


def audit_folds(
    frame: pd.DataFrame, folds: pd.DataFrame, grouped: bool = False, name: str | None = None
) -> None:
    """Check a fold file against the data it is about to be used with.

    Parameters
    ----------
    grouped : whether the split was to keep groups whole.
    name : of a file that the user gave; None for one that is made again once it is deleted.

    Raises
    ------
    UserError : the file has other image ids, an image twice, or identical images (or one group) in several
    folds.
    """
    twice = folds.loc[folds["image_id"].duplicated(), "image_id"].unique()
    if len(twice):
        raise UserError(f"the fold file lists {len(twice)} id(s) twice: {name_some(twice)}; delete it")
    odd = sorted(set(folds["image_id"]) ^ set(frame["image_id"]))
    if odd:
        raise UserError(
            f"the fold file is of other data ({len(odd)} ids differ: {name_some(odd)}): delete it"
        )
    joined = frame.merge(folds, on="image_id", validate="one_to_one")
    for column, what in (("content_hash", "identical images"), ("group", "images of one group")):
        if column == "content_hash" or grouped:
            straddling = joined.groupby(column)["fold"].transform("nunique") > 1
            if straddling.any():
                leaks = joined.loc[straddling, "image_id"]
                way_out = "delete the fold file" if name is None else f"give them one fold in {name}"
                raise UserError(f"{len(leaks)} {what} straddle folds: {name_some(leaks)}; {way_out}")
