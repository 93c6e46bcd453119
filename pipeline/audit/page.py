"""The page of an audit, and what of it the console says."""

import html
from collections.abc import Iterator

import numpy as np
import pandas as pd

from pipeline.audit.findings import FLAGS, ODD_AREA, ODD_SHAPE, Findings
from pipeline.audit.fingerprint import POSITIONS
from pipeline.audit.near import CLOSEST, NEAR
from pipeline.base.errors import name_some
from pipeline.base.page import table, thumbnail
from pipeline.competition.prepared import Prepared

SHOWN = 24
"""Pairs or images of a kind that are shown; the counts are of all."""
CLASSES = 60
"""Classes in the table: the rarest."""


def summary(found: Findings) -> list[tuple[str, int, str]]:
    """What was found: what it is, how often, and some of the ids."""
    pairs, ids = found.pairs, found.images["image_id"]
    rows = []
    kinds = [("exact copies", pairs[pairs["exact"]]), ("near copies", pairs[~pairs["exact"]])]
    kinds += [(f"copies, {what}", found.flagged(flag)) for flag, what in FLAGS.items()]
    for what, some in kinds:
        first, second = (ids.iloc[some[side]].tolist() for side in ("first", "second"))
        rows.append((what, len(some), name_some([f"{a} = {b}" for a, b in zip(first, second, strict=True)])))
    rows.append(("images of one colour", len(found.flat), name_some(ids.iloc[found.flat].tolist())))
    rows.append(("images of odd size or shape", len(found.odd), name_some(ids.iloc[found.odd].tolist())))
    rare = _rare(found)
    rows.append(("classes that some fold cannot validate", len(rare), name_some(rare["class"].tolist())))
    rows.append(("groups in several folds", len(found.groups), name_some(found.groups)))
    rows.append(("ids in train and test", len(found.ids), name_some(found.ids)))
    return rows


def _rare(found: Findings) -> pd.DataFrame:
    return found.classes[found.classes["folds"] < found.folds]


def parts(found: Findings, data: Prepared) -> Iterator[str]:
    """The page's sections, as HTML."""
    splits = found.images["split"].value_counts()
    train, test = splits["train"], splits["test"]
    yield (
        f'<p class="soft">{train:,} training and {test:,} test images, {found.folds} fold(s). Near copies '
        f"differ by up to {100 * NEAR:.0f} % of their contrast, once brightness and contrast are made alike; "
        f"mirrored and turned ones count. Of each image the closest {CLOSEST} are looked at.</p>"
    )
    yield f"<section><h2>What was found</h2>{table(['', 'count', 'such as'], summary(found))}</section>"
    pictures = _Pictures(found, data)
    rest = ~found.pairs[list(FLAGS)].any(axis=1)
    titles = {
        "conflict": "Copies with other targets",
        "leak": "Copies in different folds",
        "shared": "Copies in train and test",
    }
    told = {
        "conflict": "One of the two is wrong, or the targets do not follow from the picture.",
        "leak": "One is trained on where the other is validated on, so that the score is too good: give both "
        "one group in load_train, and split with folds.scheme group or stratified_group.",
        "shared": "What is known of the training image is known of the test image.",
    }
    for flag, title in titles.items():
        yield pictures.pairs(title, told[flag], found.flagged(flag))
    yield pictures.pairs("Further copies", "Within one fold, or within the test images.", found.pairs[rest])
    yield pictures.images("Images of one colour", "Nothing can be seen in them.", found.flat)
    odd = (
        f"More than {ODD_SHAPE:g} times as long or as tall as is usual here, or more than {ODD_AREA:g} times "
        "as large or as small."
    )
    yield pictures.images("Odd sizes and shapes", odd, found.odd)
    yield _sizes(found)
    yield _classes(found)
    if len(found.numbers):
        lines = [
            [name, *values]
            for name, values in zip(found.numbers.index, found.numbers.to_numpy().tolist(), strict=True)
        ]
        yield f"<section><h2>Targets</h2>{table(['', *map(str, found.numbers.columns)], lines)}</section>"


def _sizes(found: Findings) -> str:
    counts = found.images.groupby(["width", "height"]).size().sort_values(ascending=False, kind="stable")
    usual = counts.head(10).reset_index().to_numpy().tolist()
    rows = [(f"{width} x {height}", count) for width, height, count in usual]
    more = f"<p class='soft'>{len(counts):,} different sizes; the commonest:</p>" if len(counts) > 1 else ""
    return f"<section><h2>Sizes</h2>{more}{table(['width x height', 'images'], rows)}</section>"


def _classes(found: Findings) -> str:
    if found.classes.empty:
        return ""
    rows = [
        (name, int(images), f"{100 * share:.3g} %", int(folds))
        for name, images, share, folds in found.classes.head(CLASSES).itertuples(index=False)
    ]
    more = f" of {len(found.classes):,}, the rarest" if len(found.classes) > CLASSES else ", the rarest first"
    heads = ["class", "training images", "share", "folds that validate on it"]
    return f"<section><h2>Classes</h2><p class='soft'>{len(rows):,}{more}.</p>{table(heads, rows)}</section>"


class _Pictures:
    """Images with what is known of them, side by side."""

    def __init__(self, found: Findings, data: Prepared) -> None:
        self.found = found
        self.splits = {split: data.images(split) for split in ("train", "test")}
        self.made: dict[int, str] = {}

    def pairs(self, title: str, told: str, some: pd.DataFrame) -> str:
        """A section of pairs; nothing where there are none."""
        sides = some[["first", "second"]].to_numpy().tolist()
        tiles = [
            f"<div>{self._badges(pair)}<div class='pair'>{self._figure(first)}"
            f"{self._figure(second)}</div></div>"
            for pair, (first, second) in zip(some.head(SHOWN).itertuples(), sides, strict=False)
        ]
        return self._section(title, told, tiles, len(some))

    def images(self, title: str, told: str, rows: np.ndarray) -> str:
        """A section of single images; nothing where there are none."""
        tiles = [f"<div>{self._figure(row)}</div>" for row in rows[:SHOWN].tolist()]
        return self._section(title, told, tiles, len(rows))

    def _section(self, title: str, told: str, tiles: list[str], count: int) -> str:
        if not tiles:
            return ""
        shown = f"{count:,}" if count <= SHOWN else f"{SHOWN} of {count:,}"
        return (
            f"<section><h2>{title}</h2><p class='soft'>{shown}. {told}</p>"
            f"<div class='tiles'>{''.join(tiles)}</div></section>"
        )

    def _badges(self, pair) -> str:
        texts = [what for flag, what in FLAGS.items() if getattr(pair, flag)]
        how = POSITIONS[pair.position]
        kind = "exact copy" if pair.exact else f"difference {100 * pair.difference:.1f} %"
        badges = "".join(f"<span class='badge'>{text}</span>" for text in texts)
        return f"<p>{badges}<small>{kind}{f', {how}' if how else ''}</small></p>"

    def _figure(self, row: int) -> str:
        if row not in self.made:
            image = self.found.images.iloc[row]
            pixels = self.splits[image["split"]].picture(int(image["row"]))
            name = html.escape(str(image["image_id"]))
            target = html.escape(str(image["target"])).replace("\n", "<br>")
            size = f"{image['width']} x {image['height']}"
            place = {-2: "test", -1: "always trained on"}.get(image["fold"], f"fold {image['fold']}")
            self.made[row] = (
                f"<figure><img alt='{name}' src='{thumbnail(pixels)}'><figcaption><b>{name}</b> "
                f"<span class='soft'>{place}, {size}</span>"
                f"{f'<br>{target}' if target else ''}</figcaption></figure>"
            )
        return self.made[row]
