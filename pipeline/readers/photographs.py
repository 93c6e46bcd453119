"""Photographs: what image files show."""

from dataclasses import dataclass

import numpy as np

from pipeline.config.reach import Reach
from pipeline.raw.images import read_rgb
from pipeline.raw.levels import Levels
from pipeline.readers.reader import Reader, Row


@dataclass(frozen=True)
class Photographs(Reader):
    """Image files as uint8 RGB, as they look: turned by EXIF, transparency over white, of several pages the
    first; images of more than 8 bits between the black and white of the training images."""

    def read(self, row: Row) -> np.ndarray:
        """See Reader; without black and white."""
        return self.rgb(row, None)

    def rgb(self, row: Row, levels: Levels | None, reach: Reach | None = None) -> np.ndarray:
        """uint8 (H, W, 3); see `pipeline.raw.images.read_rgb`."""
        return read_rgb(str(row["path"]), str(row["image_id"]), levels, reach)
