"""Images that do not fit into memory as rows of overlapping squares, and what is handed in for the whole."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.base.errors import UserError
from pipeline.frame.mask_rows import MaskRows
from pipeline.readers.regions import corners_of, tiff_size

PLACE = ("whole", "top", "left", "whole_height", "whole_width")
"""Columns of a frame of squares: the image that each is of, its corner, and that image's size in pixels."""


@dataclass(frozen=True, kw_only=True)
class Tiling:
    """Squares that overlap. Where two do, each has the half that is nearer to its middle for its own, so that
    together their own parts are the image, without a pixel twice.

    Attributes
    ----------
    side : of a square in pixels of the whole image.
    step : pixels from one to the next; `side` less `step` is what they share.
    shrink : as `pipeline.readers.regions.TiffRegion` has it.
    """

    side: int
    step: int
    shrink: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.step <= self.side or self.shrink < 1:
            raise UserError(f"no tiles of side {self.side} every {self.step} pixels, shrunk by {self.shrink}")
        if self.side % self.shrink or self.step % self.shrink or self.margin % self.shrink:
            raise UserError(
                f"tiles of side {self.side} every {self.step} pixels do not shrink by {self.shrink}: the "
                "side, the step and half of what they share must be multiples of it"
            )

    @property
    def margin(self) -> int:
        """Pixels on each inner side that are a neighbour's."""
        return (self.side - self.step) // 2

    def rows(self, images: pd.DataFrame) -> pd.DataFrame:
        """A row for each square of TIFF files: ``image_id`` is ``<image>_<top>_<left>``, and PLACE.

        Parameters
        ----------
        images : image_id, path and whatever else, which each square keeps.
        """
        frames = []
        for image_id, path in zip(images["image_id"], images["path"], strict=True):
            height, width = tiff_size(path)
            corners = corners_of(path, self.side, self.step)
            frames.append(corners.assign(whole=image_id, whole_height=height, whole_width=width))
        tiles = pd.concat(frames, ignore_index=True)
        tiles = tiles.merge(images.rename(columns={"image_id": "whole"}), on="whole", validate="many_to_one")
        names = [f"{name}_{top}_{left}" for name, top, left in tiles[["whole", "top", "left"]].to_numpy()]
        return tiles.assign(image_id=names)

    def own(self, top: int, left: int, height: int, width: int) -> tuple[slice, slice]:
        """Rows and columns of a square, as it is seen, that are its own.

        Parameters
        ----------
        top, left : its corner.
        height, width : of the whole image.
        """
        return self._own(top, height), self._own(left, width)

    def _own(self, start: int, length: int) -> slice:
        first = self.margin if start else 0
        last = self.margin + self.step if start + self.side < length else min(self.side, length - start)
        return slice(first // self.shrink, -(-last // self.shrink))


@dataclass(frozen=True, kw_only=True)
class TileRows(MaskRows):
    """Format of a row for each whole image and class, where the test frame has a row for each square."""

    def text_of(self, tiling: Tiling, places: pd.DataFrame, masks: Sequence[np.ndarray]) -> str:
        """Run lengths of one class of a whole image.

        Parameters
        ----------
        places : PLACE of its squares.
        masks : bool (H, W) of each, as it is seen.
        """
        height, width = map(int, places[["whole_height", "whole_width"]].iloc[0])

        def parts() -> Iterator[tuple[np.ndarray, int, int]]:
            for (top, left), mask in zip(places[["top", "left"]].to_numpy().tolist(), masks, strict=True):
                down, across = tiling.own(top, left, height, width)
                part = mask[down, across].repeat(tiling.shrink, 0).repeat(tiling.shrink, 1)
                first, second = top + down.start * tiling.shrink, left + across.start * tiling.shrink
                yield part[: height - first, : width - second], first, second

        return self.runs.of_parts(parts(), height, width)

    def check_sample(self, sample: pd.DataFrame, test: pd.DataFrame) -> None:
        """See MaskRows."""
        super().check_sample(sample, wholes_of(test))

    def checked(
        self, frame: pd.DataFrame, sample: pd.DataFrame, test: pd.DataFrame, name: str
    ) -> pd.DataFrame:
        """See MaskRows."""
        return super().checked(frame, sample, wholes_of(test), name)


def wholes_of(tiles: pd.DataFrame) -> pd.DataFrame:
    """image_id, height and width of the images that the squares are of."""
    first = tiles.drop_duplicates("whole")
    named = {"whole": "image_id", "whole_height": "height", "whole_width": "width"}
    return first[list(named)].rename(columns=named).reset_index(drop=True)
