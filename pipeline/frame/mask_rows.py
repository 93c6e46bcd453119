"""Submissions of masks: run lengths in a row for each image, or for each image and class."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import pandas as pd

from pipeline.base.errors import UserError
from pipeline.frame.rle import RunLengths
from pipeline.frame.submission import Anything, SubmissionFormat

SEPARATOR = "\x1f"
"""Between an id and a class while both are looked for at once; no id has it."""


@dataclass(frozen=True, kw_only=True)
class MaskRows:
    """Format of a row for each image and class, every one of them, whether it has pixels or not.

    Attributes
    ----------
    labels : what each class is called in the rows, in the task's order; none: as the task calls it.
    key : how the id column is written, of ``{image}`` and ``{label}``: ``{image}.jpg_{label}``. Without
        ``{label}`` there is one class, or a `class_column`.
    class_column : a column of its own for the class, after the id.
    runs : how pixels are counted and what stands for none.
    size : height and width at which masks are handed in, whatever those of the image; None: the image's own.
    """

    id_column: str = "id"
    rle_column: str = "rle"
    class_column: str | None = None
    key: str = "{image}_{label}"
    labels: Sequence[str] = ()
    runs: RunLengths = field(default_factory=RunLengths)
    size: tuple[int, int] | None = None

    def of(self, classes: Sequence[str]) -> "MaskRows":
        """The same with labels. Raises UserError where the rows cannot tell the classes apart."""
        form = replace(self, labels=tuple(self.labels or classes))
        if len(form.labels) != len(classes):
            raise UserError(f"MaskRows names {len(form.labels)} labels, and there are {len(classes)} classes")
        if len(classes) > 1 and "{label}" not in self.key and self.class_column is None:
            raise UserError(
                f"MaskRows writes the id as {self.key!r}, which does not tell {len(classes)} classes apart: "
                "add {label} to key=, or name a class_column="
            )
        if "{image}" not in self.key:
            raise UserError(f"MaskRows writes the id as {self.key!r}, without {{image}}: add it")
        return form

    @property
    def columns(self) -> list[str]:
        """The submission's columns, in order."""
        return [self.id_column, *([self.class_column] if self.class_column else []), self.rle_column]

    def rows(self, image_id: str, masks: np.ndarray) -> list[tuple[str, ...]]:
        """The rows of an image whose masks are bool (C, H, W)."""
        found = []
        for label, mask in zip(self.labels, masks, strict=True):
            name = self.key.format(image=image_id, label=label)
            text = self.runs.text(self._sized(mask))
            found.append((name, *([label] if self.class_column else []), text))
        return found

    def _sized(self, mask: np.ndarray) -> np.ndarray:
        """A mask (H, W) at the size that is handed in: a pixel is inside where at least half of it is."""
        if self.size is None or mask.shape == self.size:
            return mask
        height, width = self.size
        return cv2.resize(mask.astype("float32"), (width, height), interpolation=cv2.INTER_AREA) >= 0.5

    def sample_of(self, ids: Sequence[str]) -> pd.DataFrame:
        """See `Format`: all rows, without pixels."""
        nothing = np.zeros((len(self.labels), 1, 1), dtype=bool)
        rows = [row for image_id in ids for row in self.rows(image_id, nothing)]
        return pd.DataFrame(rows, columns=self.columns, dtype="str")

    def check_sample(self, sample: pd.DataFrame, test: pd.DataFrame) -> None:
        """See `Format`: a row for each test image and class, and no others."""
        if sorted(sample.columns) != sorted(self.columns):
            raise UserError(
                f"the sample submission has the columns {list(sample.columns)}, not {self.columns}: "
                "is it another competition's?"
            )
        self._whole().check_sample(self._keyed(sample), self._expected(test))

    def checked(
        self, frame: pd.DataFrame, sample: pd.DataFrame, test: pd.DataFrame, name: str
    ) -> pd.DataFrame:
        """See `Format`: the sample's rows, in its order, with masks that fit their images."""
        if list(frame.columns) not in (self.columns, list(sample.columns)):
            raise UserError(f"{name}: the columns are {list(frame.columns)}, and must be {self.columns}")
        expected = self._expected(test)
        ordered = self._whole().checked(self._keyed(frame), self._keyed(sample), expected, name)
        sizes = self._sizes(expected, ordered[self.id_column])
        for key, text, (height, width) in zip(
            ordered[self.id_column], ordered[self.rle_column], sizes, strict=True
        ):
            if text == self.runs.empty:
                continue
            called = f"{name}: {key.replace(SEPARATOR, ' ')}"
            try:
                written = self.runs.written(text, int(height), int(width))
            except ValueError as error:
                raise UserError(f"{called} has no valid run lengths ({error})") from error
            if written != text:
                raise UserError(f"{called} has run lengths that do not survive decoding and encoding")
        filled = sample.assign(**{self.rle_column: ordered[self.rle_column].to_numpy()})
        return filled[list(sample.columns)]

    def _sizes(self, expected: pd.DataFrame, keys: pd.Series) -> np.ndarray:
        """Height and width of the mask of each row, int (N, 2)."""
        if self.size is not None:
            return np.tile(self.size, (len(keys), 1))
        return expected.set_index("image_id").loc[keys, ["height", "width"]].to_numpy()

    def _whole(self) -> SubmissionFormat:
        return SubmissionFormat(self.id_column, {self.rle_column: Anything()})

    def _keyed(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Id and class in one column."""
        if self.class_column is None:
            return frame[[self.id_column, self.rle_column]]
        keys = frame[self.id_column].astype("str") + SEPARATOR + frame[self.class_column].astype("str")
        return pd.DataFrame({self.id_column: keys, self.rle_column: frame[self.rle_column]})

    def _expected(self, test: pd.DataFrame) -> pd.DataFrame:
        """``image_id`` of each row that there must be, as `_keyed` writes it, and its image's size."""
        sides = [side for side in ("height", "width") if side in test]
        parts = []
        for label in self.labels:
            keys = [self.key.format(image=image_id, label=label) for image_id in test["image_id"]]
            if self.class_column:
                keys = [f"{key}{SEPARATOR}{label}" for key in keys]
            parts.append(test[sides].assign(image_id=keys))
        return pd.concat(parts, ignore_index=True)
