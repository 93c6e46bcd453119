"""A split that somebody else made: a CSV file of folds, or a competition's own."""

from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.base.errors import UserError, name_some
from pipeline.frame.folds import TRAIN_ONLY
from pipeline.frame.names import cause, nfc
from pipeline.raw.tables import parse_csv

FOLD, ID = "fold", "image_id"


def read_folds(path: Path, train: pd.DataFrame) -> pd.DataFrame:
    """The fold of every training image.

    Parameters
    ----------
    path : CSV with a column ``fold`` and the ids in a column ``image_id``, or in its first column.
    train : frame with image_id.

    Returns
    -------
    image_id and fold (int64), in the rows' order of `train`.

    Raises
    ------
    UserError : no such file or column, a fold that is no whole number from -1 on, an image that is listed
        twice, is missing, or is unknown; no fold to measure on.
    """
    if not path.is_file():
        raise UserError(f"the fold file {path} does not exist; check --folds.csv")
    table = parse_csv(path)
    others = [name for name in table.columns if name != FOLD]
    if FOLD not in table or not others:
        raise UserError(
            f"{path} has the columns {name_some(list(table.columns))}: an id and a column {FOLD} are needed"
        )
    column = ID if ID in others else others[0]
    ids, cells = nfc(table[column].fillna("").str.strip()), table[FOLD].fillna("").str.strip()
    wrong = table.index[~cells.str.fullmatch(r"-1|\d{1,6}")]
    if len(wrong):
        named = name_some([f"{ids[row]!r}: {cells[row]!r}" for row in wrong])
        raise UserError(f"{path} has {len(wrong)} fold(s) that are no number from 0 on, or -1: {named}")
    twice = ids[ids.duplicated()].unique()
    if len(twice):
        raise UserError(f"{path} lists {len(twice)} id(s) twice: {name_some(twice)}; keep one row for each")
    known = dict(zip(ids, cells.astype("int64"), strict=True))
    there = set(train["image_id"])
    missing = [name for name in train["image_id"] if name not in known]
    unknown = [name for name in known if name not in there]
    if missing or unknown:
        parts = [f"lacks {len(missing):,} training image(s) ({name_some(missing)})"] if missing else []
        parts += (
            [f"has {len(unknown):,} id(s) of no training image ({name_some(unknown)})"] if unknown else []
        )
        reason = cause(missing, unknown) or f"its ids are taken from the column {column}"
        raise UserError(f"{path} {' and '.join(parts)}: {reason}")
    folds = train[["image_id"]].assign(fold=[known[name] for name in train["image_id"]])
    _refuse_one_sided(folds, str(path))
    return folds


def own_folds(given: pd.Series, train: pd.DataFrame) -> pd.DataFrame:
    """What a competition's own split gave, as `read_folds` returns it. Raises UserError where it is no whole
    number from -1 on for every row, or leaves nothing to measure on or to learn from."""
    numbers = pd.to_numeric(pd.Series(np.asarray(given)), errors="coerce")
    if len(numbers) != len(train) or not ((numbers >= -1) & (numbers % 1 == 0)).all():
        raise UserError(
            f"the competition's own split gave {len(numbers):,} folds for {len(train):,} training images: "
            "give each a whole number from 0 on, or -1"
        )
    folds = train[["image_id"]].assign(fold=numbers.astype("int64").to_numpy())
    _refuse_one_sided(folds, "the competition's own split")
    return folds


def _refuse_one_sided(folds: pd.DataFrame, source: str) -> None:
    inside = folds["fold"][folds["fold"] != TRAIN_ONLY]
    if inside.empty or (inside.nunique() == 1 and len(inside) == len(folds)):
        what = (
            "no fold but -1" if inside.empty else "all images in one fold, so that none is left to learn from"
        )
        raise UserError(f"{source} has {what}: give folds from 0 on")
