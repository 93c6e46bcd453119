"""How the image of a row is read. A competition chooses one of the ready readers, or writes its own::

    @dataclass(frozen=True)
    class Bands(Reader):
        columns: ClassVar[tuple[str, ...]] = ("other",)  # of its frames, beside image_id and path

        def read(self, row):
            return np.dstack([np.load(row["path"]), np.load(row["other"])])

        def files(self, row):
            return row["path"], row["other"]

    class Competition(base.Competition):
        reader = Bands()

What it gives is checked and scaled by `pipeline.readers.decoding`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipeline.raw.levels import Levels

Row = Mapping[str, Any]
"""``image_id``, ``path`` and the reader's columns of one row of a frame."""


@dataclass(frozen=True)
class Reader(ABC):
    """Reads images. A frozen dataclass that can be pickled: jobs carry it to other processes, and what it
    prints as is part of the data's identity, as the code of a folder's own is."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the frames that it needs beside ``image_id`` and ``path``, such as a place in a file."""
        return ()

    @property
    def levels(self) -> Levels | None:
        """Black and white of all that it reads, where it knows them: values outside are cut off. None: the
        competition names them, or they are measured."""
        return None

    @property
    def path_columns(self) -> tuple[str, ...]:
        """Those of `columns` that hold paths, which count by the content of the files alone."""
        return ()

    @property
    def images(self) -> int:
        """Most images in a row, laid one behind the other as channels; see `pipeline.readers.bag`."""
        return 1

    def check(self, frame: pd.DataFrame) -> None:
        """Refuse rows that nothing can be read for. Raises UserError naming them."""
        return None

    def counts(self, frame: pd.DataFrame) -> np.ndarray | None:
        """int64 (N,): how many of its `images` each row has; None where that is one."""
        return None

    @abstractmethod
    def read(self, row: Row) -> np.ndarray:
        """The values of one image as they are stored: (H, W) or (H, W, C) of any numeric dtype.

        uint8 is taken as it is, 0 black and 255 white. All other values become float32, 0 black and 1 white,
        by the competition's ``levels``, the reader's own, or those of the training images. Whatever it
        raises is told with the image's id and its path.
        """

    def files(self, row: Row) -> tuple[str, ...]:
        """All files that `read` opens: where one changes, the image is read again."""
        return (str(row["path"]),)
