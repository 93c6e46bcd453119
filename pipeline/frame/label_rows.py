"""Submissions with a row for each image and class, such as eight rows a study."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from pipeline.frame.submission import Probability, SubmissionFormat


@dataclass(frozen=True, kw_only=True)
class LabelRows:
    """Format of a row for each image and class, with its probability.

    Attributes
    ----------
    labels : the classes, in the task's order.
    key : how the id column is written, of ``{image}`` and ``{label}``.
    """

    labels: Sequence[str]
    id_column: str = "id"
    value_column: str = "value"
    key: str = "{image}_{label}"

    def rows(self, predictions: pd.DataFrame) -> pd.DataFrame:
        """The rows of a predictions frame with a column for each class, those of an image together."""
        values = predictions[list(self.labels)].clip(0, 1).to_numpy().ravel()
        return pd.DataFrame({self.id_column: self._keys(predictions["image_id"]), self.value_column: values})

    def sample_of(self, ids: Sequence[str]) -> pd.DataFrame:
        """See `Format`."""
        return self._whole().sample_of(self._keys(ids))

    def check_sample(self, sample: pd.DataFrame, test: pd.DataFrame) -> None:
        """See `Format`: a row for each test image and class, and no others."""
        self._whole().check_sample(sample, self._expected(test))

    def checked(
        self, frame: pd.DataFrame, sample: pd.DataFrame, test: pd.DataFrame, name: str
    ) -> pd.DataFrame:
        """See `Format`."""
        return self._whole().checked(frame, sample, self._expected(test), name)

    def _whole(self) -> SubmissionFormat:
        return SubmissionFormat(self.id_column, {self.value_column: Probability()})

    def _expected(self, test: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"image_id": self._keys(test["image_id"])}, dtype="str")

    def _keys(self, ids: Sequence[str] | pd.Series) -> list[str]:
        return [self.key.format(image=image, label=label) for image in ids for label in self.labels]
