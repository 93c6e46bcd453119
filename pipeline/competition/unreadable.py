"""Image files that cannot be read: all named at once, and on request gone on without."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from PIL import Image

from pipeline.base.errors import UserError, name_some
from pipeline.base.files import atomic_path, digest
from pipeline.base.progress import say
from pipeline.competition.decoded import rows_of
from pipeline.raw.images import UnreadableImageError
from pipeline.readers.decoding import BLANK, Decoding
from pipeline.readers.photographs import Photographs

OnBadImage = Literal["error", "warn"]
"""``error`` refuses the data. ``warn`` leaves training images out and predicts test images from a picture of
nothing but the training images' mean colour, so that every test id has a row."""

Problems = Mapping[tuple[str, str], UnreadableImageError]
"""By split and image id."""

NAMED = 20
"""Files that a message names; ``unreadable.txt`` has all."""
COLOUR_SAMPLE = 64
"""Training images whose mean colour is taken."""


def without_unreadable(
    given: dict[str, pd.DataFrame],
    frames: dict[str, pd.DataFrame],
    problems: Problems,
    on_bad_image: OnBadImage,
    home: Path,
    decoding: Decoding,
) -> dict[str, pd.DataFrame]:
    """The frames that `given` are without the images that cannot be read; says which.

    Parameters
    ----------
    frames : `given` with width and height as decoded, 0 where that failed.
    home : folder for the images that stand in, and for the list of all.

    Raises
    ------
    UserError : under ``error``, naming them; no training image can be read.
    """
    listing = home / "unreadable.txt"
    with atomic_path(listing) as temporary:
        lines = [f"{split} {name}: {problem.reason}\n" for (split, name), problem in problems.items()]
        temporary.write_text("".join(lines), encoding="utf-8", errors="backslashreplace")
    if on_bad_image == "error":
        if len(problems) == 1:
            raise UserError(f"{next(iter(problems.values()))}, or go on without it: --on-bad-image warn")
        reasons = [f"{split} {name} ({problem.reason})" for (split, name), problem in problems.items()]
        raise UserError(
            f"{len(problems):,} image files cannot be read: {name_some(reasons, NAMED)}; "
            f"{listing} lists all: replace them, or go on without them: --on-bad-image warn"
        )
    bad = {
        split: frame["image_id"].isin([name for of, name in problems if of == split])
        for split, frame in given.items()
    }
    kept = given["train"][~bad["train"]]
    if kept.empty:
        raise UserError(
            f"no training image can be read: {listing} says why; check that the raw files are complete"
        )
    for split, what in (
        ("train", "training images are left out"),
        ("test", "test images are predicted blindly"),
    ):
        names = given[split]["image_id"][bad[split]]
        if len(names):
            say(
                f"warning: {len(names):,} {what}, as their files cannot be read: "
                f"{name_some(names, NAMED)} ({listing})"
            )
    test = given["test"].copy()
    if bad["test"].any():
        colour = _mean_colour(kept, decoding)
        sizes = _sizes(test, pd.concat([frames["test"], frames["train"]]))[bad["test"].to_numpy()]
        test.loc[bad["test"], "path"] = [
            str(_blank(home, int(width), int(height), colour, decoding)) for width, height in sizes
        ]
    return {"train": kept.reset_index(drop=True), "test": test}


def _mean_colour(frame: pd.DataFrame, decoding: Decoding) -> np.ndarray:
    """(C,): of images as they are decoded."""
    some = frame.iloc[np.linspace(0, len(frame) - 1, min(COLOUR_SAMPLE, len(frame)), dtype=int)]
    images = (decoding.image(row) for row in rows_of(decoding.reader, some))
    mean = np.mean([image.mean(axis=(0, 1), dtype="float64") for image in images], axis=0)
    return mean.astype("float32") if decoding.deep else np.rint(mean).astype("uint8")


def _sizes(test: pd.DataFrame, decoded: pd.DataFrame) -> np.ndarray:
    """(width, height) (N, 2): those that the frame gives, and the commonest of the decoded ones elsewhere."""
    sides = ["width", "height"]
    usual = decoded.loc[decoded["width"] > 0, sides].value_counts().index[0]
    if not set(sides) <= set(test.columns):
        return np.tile(usual, (len(test), 1))
    sizes = test[sides].apply(pd.to_numeric, errors="coerce").fillna(0).to_numpy()
    return np.where((sizes > 0).all(axis=1, keepdims=True), sizes, usual)


def _blank(home: Path, width: int, height: int, colour: np.ndarray, decoding: Decoding) -> Path:
    """A file of one colour; by its content named, and so never changed."""
    suffix = ".png" if isinstance(decoding.reader, Photographs) else BLANK
    path = home / "blank" / f"{width}x{height}-{digest(colour.tolist(), length=16)}{suffix}"
    if not path.exists():
        pixels = np.broadcast_to(colour, (height, width, len(colour)))
        with atomic_path(path) as temporary:
            if suffix == ".png":
                Image.fromarray(np.ascontiguousarray(pixels)).save(temporary)
            else:
                with temporary.open("wb") as file:
                    np.save(file, pixels)
    return path
