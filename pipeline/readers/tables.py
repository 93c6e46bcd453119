"""Tables of numbers as images, such as spectrograms in parquet files."""

from dataclasses import dataclass

import numpy as np
import pyarrow.parquet as pq

from pipeline.readers.arrays import filled
from pipeline.readers.reader import Reader, Row


@dataclass(frozen=True)
class Spectrogram(Reader):
    """A parquet file with a row for each moment and a column for each frequency: (frequencies, moments,
    groups), the lowest frequency at the top, as float32.

    Attributes
    ----------
    groups : what the names of columns begin with, such as ``("LL", "RL")``; a channel each, of equally many
        columns in the file's order.
    rows : moments of an image; 0: all.
    first : column of the frame with the number of the first row; None: 0.
    log : values are cut to this range and their logarithm taken, such as ``(1e-4, 1e4)``; None: as they are.
    fill : in place of missing values, before `log`; None refuses them.
    """

    groups: tuple[str, ...]
    rows: int = 0
    first: str | None = None
    log: tuple[float, float] | None = None
    fill: float | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """See Reader."""
        return () if self.first is None else (self.first,)

    def read(self, row: Row) -> np.ndarray:
        """See Reader. Raises ValueError where the file has too few rows, or groups of several sizes."""
        with open(row["path"], "rb") as file:  # noqa: PTH123 - a missing file is told as one
            names = pq.read_schema(file).names
            parts = [[name for name in names if name.startswith(group)] for group in self.groups]
            sizes = [len(part) for part in parts]
            if len(set(sizes)) != 1 or 0 in sizes:
                raise ValueError(f"its groups {', '.join(self.groups)} have {sizes} columns")
            table = pq.read_table(file, columns=[name for part in parts for name in part])
        first = 0 if self.first is None else int(row[self.first])
        count = self.rows or table.num_rows - first
        if first < 0 or count < 1 or first + count > table.num_rows:
            raise ValueError(
                f"it has {table.num_rows} rows, and those from {first} to {first + count} are wanted"
            )
        values = table.slice(first, count).to_pandas().to_numpy(dtype="float32")
        values = filled(values.reshape(count, len(parts), sizes[0]), self.fill)
        if self.log is not None:
            values = np.log(values.clip(*self.log))
        return values.transpose(2, 0, 1)
