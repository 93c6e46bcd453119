"""Submissions with a row of run lengths for each object, and one for an image without any."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from pipeline.base.errors import UserError
from pipeline.frame.instance_tables import masks_of
from pipeline.frame.rle import RunLengths
from pipeline.frame.submission import Anything, SubmissionFormat


@dataclass(frozen=True, kw_only=True)
class InstanceRows:
    """Format of any number of rows for each image, those of an image together; at least one.

    Attributes
    ----------
    suffix : what ids have and the images' do not, such as ``.jpg``.
    runs : how pixels are counted and what stands for none.
    apart : whether masks of an image must not overlap.
    """

    id_column: str = "id"
    rle_column: str = "rle"
    suffix: str = ""
    runs: RunLengths = field(default_factory=RunLengths)
    apart: bool = False

    def rows(self, predictions: pd.DataFrame) -> pd.DataFrame:
        """The rows of a predictions frame with masks, see `pipeline.frame.boxes`; masks without pixels are
        left out."""
        found = []
        for image_id, texts in zip(predictions["image_id"], predictions["masks"], strict=True):
            cells = [self.runs.text(mask) for mask in masks_of(texts) if mask.any()]
            found += [(f"{image_id}{self.suffix}", cell) for cell in cells or [self.runs.empty]]
        return pd.DataFrame(found, columns=[self.id_column, self.rle_column], dtype="str")

    def sample_of(self, ids: Sequence[str]) -> pd.DataFrame:
        """See `Format`: a row without pixels for each image."""
        named = [f"{image_id}{self.suffix}" for image_id in ids]
        return pd.DataFrame({self.id_column: named, self.rle_column: self.runs.empty}, dtype="str")

    def check_sample(self, sample: pd.DataFrame, test: pd.DataFrame) -> None:
        """See `Format`; the sample may have several rows of an image."""
        once = sample.drop_duplicates(self.id_column) if self.id_column in sample else sample
        self._once().check_sample(once, self._expected(test))

    def checked(
        self, frame: pd.DataFrame, sample: pd.DataFrame, test: pd.DataFrame, name: str
    ) -> pd.DataFrame:
        """See `Format`: the images in the sample's order, with masks that fit them."""
        if list(frame.columns) not in ([self.id_column, self.rle_column], list(sample.columns)):
            expected = [self.id_column, self.rle_column]
            raise UserError(f"{name}: the columns are {list(frame.columns)}, and must be {expected}")
        expected, form = self._expected(test), self._once()
        once = frame.drop_duplicates(self.id_column)
        order = form.checked(once, sample.drop_duplicates(self.id_column), expected, name)[self.id_column]
        sizes = expected.set_index("image_id")[["height", "width"]]
        groups = frame.groupby(self.id_column, sort=False)[self.rle_column].agg(list)
        rows = []
        for image_id in order:
            cells = groups[image_id]
            height, width = (int(side) for side in sizes.loc[image_id])
            self._check(cells, height, width, f"{name}: {image_id}")
            rows += [(image_id, cell) for cell in cells]
        columns = [self.id_column, self.rle_column]
        return pd.DataFrame(rows, columns=columns, dtype="str")[list(sample.columns)]

    def _check(self, cells: Sequence[str], height: int, width: int, called: str) -> None:
        """Refuse rows of an image that the organiser would."""
        if list(cells) == [self.runs.empty]:
            return
        if self.runs.empty in cells:
            raise UserError(f"{called} has a row without pixels beside others: leave it out")
        taken = np.zeros((height, width), dtype=bool)
        for cell in cells:
            try:
                mask = self.runs.mask(cell, height, width)
            except ValueError as error:
                raise UserError(f"{called} has no valid run lengths ({error})") from error
            if self.runs.text(mask) != cell:
                raise UserError(f"{called} has run lengths that do not survive decoding and encoding")
            if self.apart and (mask & taken).any():
                raise UserError(f"{called} has masks that overlap, which this competition refuses")
            taken |= mask

    def _once(self) -> SubmissionFormat:
        return SubmissionFormat(self.id_column, {self.rle_column: Anything()})

    def _expected(self, test: pd.DataFrame) -> pd.DataFrame:
        return test.assign(image_id=test["image_id"] + self.suffix)
