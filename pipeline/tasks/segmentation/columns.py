"""A segmentation submission: one row for each class found in an image, its pixels as run lengths."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.base.errors import UserError, name_some
from pipeline.base.progress import say
from pipeline.frame.rle import decode, encode


@dataclass(frozen=True)
class MaskRows:
    """Format of ``<image>_<class index>`` and run lengths, for each class but background that is in an image.

    Attributes
    ----------
    classes : number of classes, background (0) included.
    """

    id_column: str
    rle_column: str
    classes: int

    def sample_of(self, ids: Sequence[str]) -> pd.DataFrame:
        """See `Format`: no rows, for which there are is the model's to say."""
        return pd.DataFrame({self.id_column: [], self.rle_column: []}, dtype="str")

    def check_sample(self, sample: pd.DataFrame, test: pd.DataFrame) -> None:
        """See `Format`: which rows there are is the model's to say, so there is nothing to check."""

    def checked(
        self, frame: pd.DataFrame, sample: pd.DataFrame, test: pd.DataFrame, name: str
    ) -> pd.DataFrame:
        """See `Format`: known images and classes, each once, and masks that fit the image."""
        expected = [self.id_column, self.rle_column]
        if list(frame.columns) != expected:
            raise UserError(f"{name}: the columns are {list(frame.columns)}, and must be {expected}")
        if frame.empty:  # a legal answer, and seldom what is meant
            say(f"warning: {name} has no rows: nothing but background is found in any image")
            return frame
        ids = frame[self.id_column].astype("str")
        if ids.duplicated().any():
            twice = ids[ids.duplicated()].unique()
            raise UserError(f"{name}: the id(s) {name_some(twice)} occur more than once")
        split = ids.str.rpartition("_")
        known = split[0].isin(test["image_id"]) & split[2].isin([str(n) for n in range(1, self.classes)])
        if not known.all():
            raise UserError(
                f"{name}: the id(s) {name_some(ids[~known])} are no test image and class 1 to "
                f"{self.classes - 1} joined by an underscore"
            )
        sizes = test.set_index("image_id")[["height", "width"]]
        for image, number, text in zip(split[0], split[2], frame[self.rle_column], strict=True):
            _check_rle(str(text), sizes.loc[image], f"{name}: {image}_{number}")
        return frame.assign(**{self.id_column: ids})


def _check_rle(text: str, size: pd.Series, name: str) -> None:
    try:
        mask = decode(text, int(size["height"]), int(size["width"]))
    except ValueError as error:
        raise UserError(f"{name} has no valid run lengths ({error})") from error
    if not mask.any():
        raise UserError(f"{name} has no pixels: leave its row out")
    if encode(mask) != text:
        raise UserError(f"{name} has run lengths that do not survive decoding and encoding")


def rows_of_mask(image_id: str, mask: np.ndarray) -> list[tuple[str, str]]:
    """(id, run lengths) of every class but background in a mask of class indices (H, W)."""
    return [
        (f"{image_id}_{value}", encode(mask == value)) for value in np.unique(mask).tolist() if value != 0
    ]
