"""Shares of classes for each image: what raters did not agree on, or a mixture."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch

from pipeline.base.errors import UserError, name_some
from pipeline.base.parts import Part
from pipeline.frame.submission import Probability, SubmissionFormat
from pipeline.frame.values import values_of
from pipeline.metrics.metric import Needs
from pipeline.tasks.blend import blend
from pipeline.tasks.exclusive import ExclusiveTask
from pipeline.tasks.soft_labels.config import Config
from pipeline.tasks.soft_labels.report import report
from pipeline.tasks.task import Blended, BlendRequest, ReportRequest, Rows
from pipeline.tasks.whole_image import FixedTargets

SUM_SLACK = 1e-3
"""How far the shares of a row, which are often rounded, may be from a sum of 1."""


class SoftLabels(ExclusiveTask[Config]):
    """Truth: a column of numbers for each class. Predictions: a probability column for each, rows summing to
    1."""

    config = Config
    blend_methods: ClassVar[Mapping[str, str]] = {
        "mean": "probabilities are averaged",
        "climb": "weights are fitted fold by fold",
    }

    def __init__(self, names: Sequence[str], votes: bool = False, id_column: str = "image_id") -> None:
        """The classes, which are the truth's columns; whether these hold votes, which are divided by their
        sum, or shares, which must sum to 1; and the submission's id column."""
        if len(set(names)) != len(names) or len(names) < 2:
            raise ValueError(f"the classes are {list(names)}, and must be two or more different names")
        self.names, self.votes, self.id_column = list(names), votes, id_column
        self.target_columns = tuple(names)

    def classes(self, train: pd.DataFrame) -> list[str]:
        """The names. Raises UserError where numbers make no shares, and for a class that no image shows."""
        numbers = self._numbers(train)
        self._refuse(train, ~(np.isfinite(numbers) & (numbers >= 0)).all(axis=1), "are no numbers from 0")
        sums = numbers.sum(axis=1)
        if self.votes:
            self._refuse(train, sums == 0, "are all 0: nobody has voted")
        else:
            self._refuse(train, np.abs(sums - 1) > SUM_SLACK, "do not sum to 1 (are they votes?)")
        without = [name for name, total in zip(self.names, numbers.sum(axis=0), strict=True) if total == 0]
        if without:
            raise UserError(f"no training image has a share of {name_some(without)}")
        return self.names

    def _refuse(self, train: pd.DataFrame, wrong: Any, why: str) -> None:
        """`wrong`: bool (N,), of numpy."""
        if wrong.any():
            raise UserError(
                f"the columns {name_some(self.names)} of {wrong.sum():,} image(s) {why}: "
                f"{name_some(train.loc[wrong, 'image_id'])}; correct or leave them out"
            )

    def _numbers(self, frame: pd.DataFrame) -> np.ndarray:
        return frame[self.names].apply(pd.to_numeric, errors="coerce").to_numpy(dtype="float64")

    def truth(self, frame: pd.DataFrame) -> np.ndarray:
        """float64 (N, C): shares, whose rows sum to 1."""
        numbers = self._numbers(frame)
        return numbers / numbers.sum(axis=1, keepdims=True)

    def strata(self, train: pd.DataFrame) -> pd.Series:
        """The class with the greatest share."""
        largest = np.asarray(self.names, dtype=object)[self._numbers(train).argmax(axis=1)]
        return pd.Series(largest, index=train.index)

    def targets(self, frame: pd.DataFrame, classes: Sequence[str], config: Config) -> FixedTargets:
        """float32 (N, C)."""
        return FixedTargets(torch.from_numpy(self.truth(frame).astype("float32")))

    def labels_of(self, values: np.ndarray, classes: Sequence[str]) -> dict[str, list]:
        """All of the most probable class, nothing of the others."""
        only = np.eye(len(classes))[values.argmax(axis=1)]
        return {name: only[:, place].tolist() for place, name in enumerate(classes)}

    def draw(self, image: np.ndarray, target: torch.Tensor, classes: Sequence[str]) -> tuple[np.ndarray, str]:
        """The image as it is and its greatest shares."""
        shares = {classes[int(place)]: float(target[place]) for place in target.argsort(descending=True)[:3]}
        return image, "\n".join(f"{name} {share:.2f}" for name, share in shares.items() if share > 0.005)

    def evidence(
        self, needs: Needs, truth: pd.DataFrame, predictions: pd.DataFrame, classes: Sequence[str]
    ) -> tuple[Rows, ...]:
        """Shares (N, C) with probabilities (N, C); as decisions the class with the most of either (N,)."""
        if needs == "frames":
            return truth, predictions
        true, values = self.truth(truth), values_of(predictions, classes)
        if needs == "probabilities":
            return true, values
        if needs == "decisions":
            return true.argmax(axis=1), values.argmax(axis=1)
        raise self.no_evidence(needs)

    def blend(self, request: BlendRequest) -> Blended:
        """See `pipeline.tasks.blend`; a weighted mean of rows that sum to 1 does so too."""
        return blend(request) if request.method in self.blend_methods else super().blend(request)

    def report(self, request: ReportRequest) -> Iterator[Part]:
        """See `pipeline.tasks.soft_labels.report`."""
        return report(request)

    def submission_format(self, classes: Sequence[str]) -> SubmissionFormat:
        """An id and a probability for each class."""
        return SubmissionFormat(self.id_column, {name: Probability() for name in classes})

    def to_submission(self, predictions: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
        """The probabilities; rows sum to 1 in float64, which organisers check more closely than float32 has
        it."""
        values = values_of(predictions, classes)
        rows = pd.DataFrame(values / values.sum(axis=1, keepdims=True), columns=list(classes))
        rows.insert(0, self.id_column, predictions["image_id"].to_numpy())
        return rows
