"""What an audit finds: copies and what is wrong with them, odd images, and how often each class occurs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.audit.fingerprint import FLAT
from pipeline.audit.known import Known
from pipeline.audit.near import Pairs
from pipeline.base.files import file_hash
from pipeline.competition.prepared import Prepared
from pipeline.tasks.task import Task

FLAGS = {
    "leak": "in different folds",
    "conflict": "other targets",
    "shared": "one in train, one in test",
}
"""Columns of pairs that say what is wrong with them."""
ODD_SHAPE = 3.0
"""Times the usual ratio of width to height from which an image has an odd shape."""
ODD_AREA = 16.0
"""Times the usual area, or its part, from which an image has an odd size."""


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What an audit found.

    Attributes
    ----------
    images : all images of train, then of test: split, row, image_id, fold (-1: always trained on; -2: test),
        target (text for people), width and height, content_hash.
    pairs : copies, the worst first: first and second (rows of `images`), difference (0 for exact copies),
        position (see `pipeline.audit.fingerprint.POSITIONS`), exact, and the `FLAGS`.
    flat, odd : rows of `images` that are of one colour, or of an odd size or shape.
    classes : class name, images, share of the training images, and how many of the folds validate on it; the
        rarest first. Empty where the targets name no classes.
    numbers : count, mean, spread and quartiles of targets that are numbers.
    groups : groups with images in several folds.
    ids : ids that occur in train and in test.
    folds : how many there are.
    """

    images: pd.DataFrame
    pairs: pd.DataFrame
    flat: np.ndarray
    odd: np.ndarray
    classes: pd.DataFrame
    numbers: pd.DataFrame
    groups: list[str]
    ids: list[str]
    folds: int

    def flagged(self, flag: str) -> pd.DataFrame:
        """The pairs with one of the `FLAGS`."""
        return self.pairs[self.pairs[flag]]


def all_images(data: Prepared, folds: pd.DataFrame) -> pd.DataFrame:
    """The ``images`` of `Findings`, without their targets."""
    kept = ["image_id", "width", "height", "content_hash"]
    splits = {"train": data.train, "test": data.test}
    frames = [
        frame[kept].assign(split=split, row=np.arange(len(frame)), fold=-2) for split, frame in splits.items()
    ]
    frames[0]["fold"] = frames[0]["image_id"].map(folds.set_index("image_id")["fold"]).to_numpy()
    return pd.concat(frames, ignore_index=True)


def find(
    data: Prepared, task: Task, folds: pd.DataFrame, images: pd.DataFrame, known: Known, near: Pairs
) -> Findings:
    """Hold copies against folds, splits and targets.

    Parameters
    ----------
    folds : image_id and fold of every training image.
    images : as `all_images` gives them.
    known, near : of the first image of each content, in the order of `images`.
    """
    first = np.flatnonzero(~images["content_hash"].duplicated().to_numpy())
    content = pd.factorize(images["content_hash"])[0]
    members = pd.Series(np.arange(len(images))).groupby(content).agg(list).tolist()
    targets = _targets(data, task, images, members)
    images = images.assign(target="")
    images.loc[images["split"] == "train", "target"] = targets["shown"].to_numpy()
    pairs = _flagged(_pairs(members, near), images, targets)
    flat = np.flatnonzero(np.isin(content, np.flatnonzero(known.contrasts <= FLAT)))
    assert len(first) == len(known.contrasts)
    numbers = folds["fold"].to_numpy()
    return Findings(
        images=images,
        pairs=pairs,
        flat=flat,
        odd=_odd(images),
        classes=_classes(data, task, images),
        numbers=_numbers(data, task),
        groups=_straddling(data.train, images),
        ids=sorted(set(data.train["image_id"]) & set(data.test["image_id"])),
        folds=len(set(numbers[numbers >= 0].tolist())),
    )


def _pairs(members: list[list[int]], near: Pairs) -> pd.DataFrame:
    """Copies as pairs of rows: of exact ones the first beside each other one, and of two contents that are
    near the first image of either beside all of the other."""
    rows: list[tuple[int, int, float, int, bool]] = [
        (own[0], other, 0.0, 0, True) for own in members for other in own[1:]
    ]
    for a, b, difference, position in zip(*(part.tolist() for part in near), strict=True):
        beside = [(members[a][0], other) for other in members[b]]
        beside += [(other, members[b][0]) for other in members[a][1:]]
        rows += [(one, other, difference, position, False) for one, other in beside]
    columns = ["first", "second", "difference", "position", "exact"]
    kinds = dict(zip(columns, ("int64", "int64", "float64", "int64", "bool"), strict=True))
    return pd.DataFrame(rows, columns=columns).astype(kinds)


def _flagged(pairs: pd.DataFrame, images: pd.DataFrame, targets: pd.DataFrame) -> pd.DataFrame:
    split, fold = images["split"].to_numpy(), images["fold"].to_numpy()
    one, other = pairs["first"].to_numpy(), pairs["second"].to_numpy()
    trained = (split[one] == "train") & (split[other] == "train")
    differ = np.zeros(len(pairs), dtype=bool)
    for column, rows in (("exact", trained & pairs["exact"]), ("near", trained & ~pairs["exact"])):
        cells, rows = targets[column].to_numpy(), rows.to_numpy()
        differ[rows] = cells[one[rows]] != cells[other[rows]]
    pairs = pairs.assign(
        leak=trained & (fold[one] != fold[other]), conflict=differ, shared=split[one] != split[other]
    )
    # The worst first: stable, so that exact copies lead and near ones follow by their difference.
    worth = pairs["conflict"] * 4 + pairs["leak"] * 2 + pairs["shared"]
    order = np.lexsort((pairs["second"], pairs["first"], pairs["difference"], -worth))
    return pairs.iloc[order].reset_index(drop=True)


def _targets(data: Prepared, task: Task, images: pd.DataFrame, members: list[list[int]]) -> pd.DataFrame:
    """The targets of training images as texts: ``exact``, which those of exact copies equal; ``near``, which
    those of near copies equal, whatever their size (places and masks are left out); ``shown``, for people."""
    parts: dict[str, list[pd.Series]] = {"exact": [], "near": [], "shown": []}
    copied = np.zeros(len(data.train), dtype=bool)
    copied[[row for own in members if len(own) > 1 for row in own if row < len(data.train)]] = True
    for name in task.target_columns:
        cells = data.train[name]
        if name in task.file_columns:
            hashes = [
                file_hash(Path(path)) if twice else "" for path, twice in zip(cells, copied, strict=True)
            ]
            parts["exact"].append(pd.Series(hashes))
            continue
        texts = cells.map(_text)
        parts["exact"].append(texts)
        if name in task.name_columns:
            parts["near"].append(cells.map(_names))
            parts["shown"].append(cells.map(_names))
        elif not cells.map(_is_list).any():
            parts["near"].append(texts)
            shown = cells.map(lambda value: f"{value:.4g}" if isinstance(value, float) else str(value))
            parts["shown"].append(f"{name} " + shown if len(task.target_columns) > 1 else shown)
    empty = pd.Series([""] * len(data.train))
    return pd.DataFrame(
        {
            key: pd.concat([empty, *some], axis=1).agg("\n".join, axis=1).str.strip()
            for key, some in parts.items()
        }
    )


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple, np.ndarray))


def _text(value: Any) -> str:
    return str(np.asarray(value.tolist() if isinstance(value, np.ndarray) else value, dtype=object).tolist())


def _names(value: Any) -> str:
    """One name, or several with how often each occurs."""
    if not _is_list(value):
        return str(value)
    counts = pd.Series(list(value), dtype=object).value_counts().sort_index()
    named = [f"{name} x {count}" if count > 1 else str(name) for name, count in counts.items()]
    return ", ".join(named) or "none"


def _odd(images: pd.DataFrame) -> np.ndarray:
    width, height = (images[side].to_numpy(dtype="float64") for side in ("width", "height"))
    shape, area = np.log(width / height), np.log(width * height)
    off = (np.abs(shape - np.median(shape)) > np.log(ODD_SHAPE)) | (
        np.abs(area - np.median(area)) > np.log(ODD_AREA)
    )
    return np.flatnonzero(off)


def _classes(data: Prepared, task: Task, images: pd.DataFrame) -> pd.DataFrame:
    """See `Findings`. An image counts once for each class that it has."""
    found = []
    for name in task.name_columns:
        cells = [
            sorted({str(one) for one in value}) if _is_list(value) else [str(value)]
            for value in data.train[name].tolist()
        ]
        rows = pd.DataFrame({"class": cells, "fold": images["fold"].to_numpy()[: len(data.train)]})
        found.append(rows.explode("class").dropna(subset="class"))
    if not found:
        return pd.DataFrame({"class": [], "images": [], "share": [], "folds": []})
    rows = pd.concat(found)
    counts = rows["class"].value_counts().reindex(data.classes, fill_value=0)
    folds = rows[rows["fold"] >= 0].groupby("class")["fold"].nunique().reindex(data.classes, fill_value=0)
    table = pd.DataFrame(
        {
            "class": data.classes,
            "images": counts.to_numpy(),
            "share": counts.to_numpy() / len(data.train),
            "folds": folds.to_numpy(),
        }
    )
    return table.sort_values("images", kind="stable").reset_index(drop=True)


def _numbers(data: Prepared, task: Task) -> pd.DataFrame:
    skipped = {*task.name_columns, *task.file_columns}
    columns = [name for name in task.target_columns if name not in skipped]
    kept = [name for name in columns if pd.api.types.is_numeric_dtype(data.train[name])]
    return data.train[kept].describe().T if kept else pd.DataFrame()


def _straddling(train: pd.DataFrame, images: pd.DataFrame) -> list[str]:
    if "group" not in train:
        return []
    folds = pd.Series(images["fold"].to_numpy()[: len(train)])
    counts = folds.groupby(train["group"].to_numpy()).nunique()
    return [str(name) for name in counts.index[counts > 1]]
