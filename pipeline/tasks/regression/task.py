"""One or several numbers for each image, of a range that is stated."""

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import numpy as np
import pandas as pd
import torch

from pipeline.base.errors import UserError, name_some
from pipeline.base.parts import Part
from pipeline.frame.submission import Number, SubmissionFormat
from pipeline.frame.values import values_of
from pipeline.inputs.batches import Targets
from pipeline.metrics.metric import Needs
from pipeline.prediction.combine import Model, ridge
from pipeline.prediction.decide import DECIDED
from pipeline.tasks.blend import blend, blend_stacked
from pipeline.tasks.regression.config import Config
from pipeline.tasks.regression.losses import LOSSES, spread_of
from pipeline.tasks.regression.report import report
from pipeline.tasks.task import Blended, BlendRequest, OutputLoss, ReportRequest, Rows
from pipeline.tasks.whole_image import FixedTargets, WholeImageTask

BINS = 10
"""Most strata: shares of the images, by their first value, that every fold keeps."""


class Regression(WholeImageTask[Config]):
    """Truth: a column of numbers for each target. Predictions: a column for each target, and with
    `uncertain` one for its standard deviation, ``<target>_sigma``."""

    config = Config
    blend_methods: ClassVar[Mapping[str, str]] = {
        "mean": "values are averaged",
        "stack": "a ridge regression is fitted for each target, fold by fold",
        "climb": "weights are fitted fold by fold",
    }

    def __init__(
        self,
        targets: Sequence[str],
        low: float,
        high: float,
        uncertain: bool = False,
        id_column: str = "image_id",
    ) -> None:
        """`low` and `high` are the range of the values, which predictions stay in; `uncertain` also predicts
        how far a value may be off: the standard deviation of a Laplace distribution. And the submission's id
        column."""
        if not low < high:
            raise ValueError(f"the range of the values is {low} to {high}, and must rise")
        self.names, self.low, self.high = list(targets), low, high
        self.uncertain, self.id_column = uncertain, id_column
        self.target_columns = tuple(targets)

    def check(self, config: Config) -> None:
        """The loss must be one of what is predicted."""
        super().check(config)
        if self.uncertain != (config.train.loss == "laplace"):
            wanted = "laplace, because standard deviations are predicted too" if self.uncertain else "another"
            raise UserError(f"--train.loss is {config.train.loss}, and must be {wanted}")
        if config.pseudo.run is not None and (config.pseudo.kind == "soft" or config.pseudo.threshold):
            raise UserError("--pseudo.kind soft and --pseudo.threshold are for classes: leave them out here")

    def classes(self, train: pd.DataFrame) -> list[str]:
        """The columns of a predictions frame. Raises UserError for a value that is no number of the range."""
        for name in self.names:
            values = pd.to_numeric(train[name], errors="coerce")
            wrong = train.loc[~values.between(self.low, self.high), "image_id"]
            if len(wrong):
                raise UserError(
                    f"{name} of {len(wrong):,} image(s) is no number from {self.low:g} to {self.high:g}: "
                    f"{name_some(wrong)}; correct it, or state another range where the task is made"
                )
        return self.names + ([f"{name}_sigma" for name in self.names] if self.uncertain else [])

    def strata(self, train: pd.DataFrame) -> pd.Series:
        """The first value where there are few different ones, as of grades, else which tenth of the images
        it is in; equal values share a stratum."""
        values = pd.to_numeric(train[self.names[0]])
        if values.nunique() <= BINS:
            return values
        return (values.rank() - 0.5) * BINS // len(values)

    def truth(self, frame: pd.DataFrame) -> np.ndarray:
        """float64 (N, K)."""
        return frame[self.names].apply(pd.to_numeric).to_numpy(dtype="float64")

    def targets(self, frame: pd.DataFrame, classes: Sequence[str], config: Config) -> FixedTargets:
        """float32 (N, K), scaled to 0..1."""
        scaled = (self.truth(frame) - self.low) / (self.high - self.low)
        return FixedTargets(torch.from_numpy(scaled.astype("float32")))

    def as_targets(self, values: np.ndarray) -> np.ndarray:
        """Scaled to 0..1; standard deviations are no targets."""
        return ((values[:, : len(self.names)] - self.low) / (self.high - self.low)).clip(0, 1)

    def labels_of(self, values: np.ndarray, classes: Sequence[str]) -> dict[str, list]:
        """The values, in their range."""
        inside = values.clip(self.low, self.high)
        return {name: inside[:, place].tolist() for place, name in enumerate(self.names)}

    def sureness(self, values: np.ndarray) -> np.ndarray:
        """1: a value has no probability."""
        return np.ones(len(values))

    def draw(self, image: np.ndarray, target: torch.Tensor, classes: Sequence[str]) -> tuple[np.ndarray, str]:
        """The image as it is and its values."""
        values = self.low + (self.high - self.low) * target
        return image, "\n".join(f"{name} {float(v):.3g}" for name, v in zip(self.names, values, strict=True))

    def objective(self, config: Config, targets: Targets) -> OutputLoss:
        """The loss that ``train.loss`` names."""
        return OutputLoss(LOSSES[config.train.loss])

    def activate(self, outputs: torch.Tensor) -> torch.Tensor:
        """Values in their range, and standard deviations in their unit."""
        count = len(self.names)
        values = self.low + (self.high - self.low) * outputs[:, :count].sigmoid()
        sigmas = (self.high - self.low) * 2**0.5 * spread_of(outputs[:, count:])
        return torch.cat([values, sigmas], dim=1)

    def evidence(
        self, needs: Needs, truth: pd.DataFrame, predictions: pd.DataFrame, classes: Sequence[str]
    ) -> tuple[Rows, ...]:
        """Values (N, K), with standard deviations (N, 2 K); as decisions, whole numbers from 0: those of the
        column ``decided`` where a decision was made, else the first value rounded."""
        if needs == "frames":
            return truth, predictions
        true, values = self.truth(truth), values_of(predictions, classes)
        if needs == "values":
            return true, values
        if needs == "decisions":
            first = values[:, 0].round()
            decided = predictions[DECIDED].to_numpy(dtype="float64") if DECIDED in predictions else first
            start = round(self.low)
            return (true[:, 0] - start).round().astype("int64"), (decided - start).astype("int64")
        raise self.no_evidence(needs)

    def blend(self, request: BlendRequest) -> Blended:
        """See `pipeline.tasks.blend`; standard deviations are averaged where values are stacked."""
        if request.method == "stack":
            return blend_stacked(request, self.truth(request.truth), self._stacker, np.asarray)
        return blend(request) if request.method in self.blend_methods else super().blend(request)

    def _stacker(self, features: np.ndarray, values: np.ndarray) -> Model:
        model = ridge(features, values)
        return lambda other: model(other).clip(self.low, self.high)

    def report(self, request: ReportRequest) -> Iterator[Part]:
        """See `pipeline.tasks.regression.report`."""
        return report(request, self.names)

    def submission_format(self, classes: Sequence[str]) -> SubmissionFormat:
        """An id and a number for each target."""
        return SubmissionFormat(self.id_column, {name: Number() for name in classes})

    def to_submission(self, predictions: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
        """The values."""
        return predictions[["image_id", *classes]].rename(columns={"image_id": self.id_column})
