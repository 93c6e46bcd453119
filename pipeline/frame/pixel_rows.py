"""Submissions with a row for each pixel of an image."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.base.errors import UserError, name_some
from pipeline.frame.submission import Probability, SubmissionFormat

DECIMALS = 5
"""That are written: a 16-bit value moves by less than its own step."""


@dataclass(frozen=True, kw_only=True)
class PixelRows:
    """Format of a row for each pixel, with its values from 0 to 1.

    Attributes
    ----------
    key : how the id column is written, of ``{image}``, ``{row}`` and ``{column}``.
    value_columns : one for each channel.
    first : number of the first row and column.
    """

    id_column: str = "id"
    value_columns: Sequence[str] = ("value",)
    key: str = "{image}_{row}_{column}"
    first: int = 1

    def check(self, channels: int) -> None:
        """Raise UserError where pixels or channels cannot be told apart."""
        if any(f"{{{name}}}" not in self.key for name in ("image", "row", "column")):
            raise UserError(
                f"PixelRows writes the id as {self.key!r}: it must have {{image}}, {{row}} and {{column}}"
            )
        count = len(self.value_columns)
        if count != channels:
            raise UserError(f"PixelRows has {count} value_columns, and images have {channels} channel(s)")

    @property
    def columns(self) -> list[str]:
        """The submission's columns, in order."""
        return [self.id_column, *self.value_columns]

    def rows(self, image_id: str, values: np.ndarray) -> pd.DataFrame:
        """The rows of an image with the values (C, H, W) from 0 to 1, row by row."""
        channels, height, width = values.shape
        flat = values.reshape(channels, -1).astype("float64").round(DECIMALS)
        cells = dict(zip(self.value_columns, flat, strict=True))
        return pd.DataFrame({self.id_column: self._keys(image_id, height, width), **cells})

    def sample_of(self, ids: Sequence[str]) -> pd.DataFrame:
        """See `Format`: no rows, for it takes sizes to know them; `checked` then takes all of them."""
        return pd.DataFrame(columns=self.columns, dtype="str")

    def check_sample(self, sample: pd.DataFrame, test: pd.DataFrame) -> None:
        """See `Format`: rows of test images alone; `checked`, which knows their sizes, wants every pixel."""
        if sorted(sample.columns) != sorted(self.columns):
            raise UserError(
                f"the sample submission has the columns {list(sample.columns)}, not {self.columns}: "
                "is it another competition's?"
            )
        keys = sample[self.id_column].astype("str")
        images = keys.str.extract(self._pattern(), expand=False)
        wrong = keys[images.isna() | ~images.isin(test["image_id"].astype("str"))]
        if len(wrong):
            raise UserError(
                f"{len(wrong):,} id(s) of the sample submission are of no test image: {name_some(wrong)}; "
                f"ids are written as {self.key}"
            )

    def checked(
        self, frame: pd.DataFrame, sample: pd.DataFrame, test: pd.DataFrame, name: str
    ) -> pd.DataFrame:
        """See `Format`."""
        if not len(sample):
            blank = dict.fromkeys(self.value_columns, "")
            sample = pd.DataFrame({self.id_column: self._expected(test)["image_id"], **blank})
        return self._whole().checked(frame, sample, self._expected(test), name)

    def _whole(self) -> SubmissionFormat:
        return SubmissionFormat(self.id_column, dict.fromkeys(self.value_columns, Probability()))

    def _pattern(self) -> str:
        """Of the id column, with a group for the image."""
        parts = {"{image}": "(.*)", "{row}": r"\d+", "{column}": r"\d+"}
        pieces = re.split(r"({image}|{row}|{column})", self.key)
        return "^" + "".join(parts.get(piece, re.escape(piece)) for piece in pieces) + "$"

    def _keys(self, image_id: str, height: int, width: int) -> list[str]:
        rows, columns = (range(self.first, self.first + side) for side in (height, width))
        return [self.key.format(image=image_id, row=row, column=column) for row in rows for column in columns]

    def _expected(self, test: pd.DataFrame) -> pd.DataFrame:
        keys: list[str] = []
        for image_id, height, width in zip(test["image_id"], test["height"], test["width"], strict=True):
            keys += self._keys(image_id, int(height), int(width))
        return pd.DataFrame({"image_id": keys}, dtype="str")
