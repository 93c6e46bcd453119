"""Several images in one row: the slices of a scan, the views of a breast, the pictures of a product."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from pipeline.base.errors import UserError, name_some
from pipeline.raw.levels import Levels, as_channels
from pipeline.raw.shrink import resized
from pipeline.readers.photographs import Photographs
from pipeline.readers.reader import Reader, Row

PATHS = "paths"
"""Column of a frame: the list of a row's images, in the order that counts."""


@dataclass(frozen=True)
class Bag(Reader):
    """The images of a row, which one network looks at one by one and whose features are pooled. A row has a
    list of paths in its column ``paths``; `pipeline.frame.bags.bags_of` makes such rows.

    The images are laid one behind the other as channels, so that a bag is cropped, turned and stored as one
    image. Of a row with fewer than `most` the rest is empty and never looked at.

    Attributes
    ----------
    each : reads one of them. Its own columns hold a list as long as the paths, or one value for all.
    most : images of a row that are looked at; of more, so many that are evenly spread.
    size : (height, width) that every image is brought to, whatever its shape; None: all images of a row must
        have one size.
    neighbours : how many images before and after each are seen with it, as channels of the same image
        (2.5-D); at the ends the last one again.
    """

    each: Reader = field(default_factory=Photographs)
    most: int = 8
    size: tuple[int, int] | None = None
    neighbours: int = 0

    def __post_init__(self) -> None:
        if self.most < 1 or self.neighbours < 0 or (self.size and min(self.size) < 1):
            raise ValueError(f"no bag of {self.most} images of {self.size} with {self.neighbours} neighbours")

    @property
    def images(self) -> int:
        """See Reader."""
        return self.most

    @property
    def columns(self) -> tuple[str, ...]:
        """See Reader."""
        return (PATHS, *self.each.columns)

    @property
    def path_columns(self) -> tuple[str, ...]:
        """See Reader."""
        return (PATHS, *self.each.path_columns)

    @property
    def levels(self) -> Levels | None:
        """See Reader."""
        return self.each.levels

    def check(self, frame: pd.DataFrame) -> None:
        """See Reader: refuses rows without images."""
        there = [_is_list(cell) and len(cell) > 0 for cell in frame[PATHS].tolist()]
        empty = frame.loc[~np.array(there, dtype=bool), "image_id"]
        if len(empty):
            raise UserError(
                f"{len(empty):,} row(s) have no images in their list of {PATHS}: {name_some(empty)}; add "
                "their files, or leave the rows out in load_train"
            )

    def counts(self, frame: pd.DataFrame) -> np.ndarray | None:
        """See Reader."""
        return np.array([min(len(cell), self.most) for cell in frame[PATHS].tolist()], dtype="int64")

    def rows(self, row: Row) -> list[Row]:
        """A row for each image that is read, in order: those looked at, with their neighbours."""
        paths = [str(path) for path in row[PATHS]]
        count = min(len(paths), self.most)
        chosen = np.linspace(0, len(paths) - 1, count).round().astype(int) if count < len(paths) else None
        places = range(count) if chosen is None else chosen.tolist()
        beside = range(-self.neighbours, self.neighbours + 1)
        return [
            self._row(row, min(max(place + step, 0), len(paths) - 1), paths)
            for place in places
            for step in beside
        ]

    def _row(self, row: Row, place: int, paths: Sequence[str]) -> Row:
        own: dict[str, Any] = {"image_id": row["image_id"], "path": paths[place]}
        for name in self.each.columns:
            cell = row[name]
            if _is_list(cell) and len(cell) != len(paths):
                raise UserError(
                    f"image {row['image_id']}: {name} lists {len(cell)} values beside {len(paths)} {PATHS}: "
                    "give one for each"
                )
            own[name] = cell[place] if _is_list(cell) else cell
        return own

    def files(self, row: Row) -> tuple[str, ...]:
        """See Reader."""
        return tuple(dict.fromkeys(file for one in self.rows(row) for file in self.each.files(one)))

    def read(self, row: Row) -> np.ndarray:
        """See Reader."""
        return self.read_by(row, lambda one: as_channels(np.asarray(self.each.read(one))))

    def read_by(self, row: Row, read: Callable[[Row], np.ndarray]) -> np.ndarray:
        """(H, W, most x channels), with 0 in place of images that the row does not have.

        Parameters
        ----------
        read : gives one image (H, W, C).

        Raises
        ------
        UserError : images of several sizes, where `size` brings them to none.
        """
        known: dict[str, np.ndarray] = {}
        parts = []
        for one in self.rows(row):
            key = repr(sorted(one.items()))  # a neighbour is read once
            if key not in known:
                known[key] = self._resized(read(one))
            parts.append(known[key])
        sizes = sorted({part.shape[:2] for part in parts})
        if len(sizes) > 1:
            raise UserError(
                f"image {row['image_id']}: its {len(parts)} images have {len(sizes)} sizes, such as "
                f"{sizes[0]} and {sizes[-1]}: name one for all, as in Bag(size=(512, 512))"
            )
        found = np.concatenate(parts, axis=2)
        missing = self.most * (2 * self.neighbours + 1) * parts[0].shape[2] - found.shape[2]
        return np.pad(found, ((0, 0), (0, 0), (0, missing)))

    def _resized(self, image: np.ndarray) -> np.ndarray:
        if self.size is None:
            return image
        return resized(image, self.size)


def _is_list(cell: Any) -> bool:
    return isinstance(cell, list | tuple | np.ndarray)
