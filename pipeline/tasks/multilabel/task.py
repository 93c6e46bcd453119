"""Any number of labels for each image, none too."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import numpy as np
import pandas as pd
import torch
from scipy.special import logit

from pipeline.base.errors import UserError, name_some
from pipeline.base.parts import Part
from pipeline.frame.submission import Probability, SubmissionFormat
from pipeline.frame.values import values_of
from pipeline.inputs.batches import Targets
from pipeline.metrics.metric import Needs
from pipeline.prediction.combine import Model, stacker
from pipeline.prediction.decide import DECIDED
from pipeline.tasks.blend import blend, blend_stacked
from pipeline.tasks.multilabel.config import Config
from pipeline.tasks.multilabel.losses import Asymmetric, BinaryCrossEntropy, Focal, positive_weights
from pipeline.tasks.multilabel.report import report
from pipeline.tasks.task import Blended, BlendRequest, OutputLoss, ReportRequest, Rows
from pipeline.tasks.whole_image import FixedTargets, WholeImageTask


class Multilabel(WholeImageTask[Config]):
    """Truth: a ``labels`` column of lists of names, which may be empty. Predictions: one probability column
    for each label; rows do not sum to 1."""

    config = Config
    target_columns = ("labels",)
    name_columns: ClassVar[tuple[str, ...]] = ("labels",)
    blend_methods: ClassVar[Mapping[str, str]] = {
        "mean": "probabilities are averaged",
        "rank": "ranks are averaged",
        "stack": "a logistic regression is fitted for each label, fold by fold",
        "climb": "weights are fitted fold by fold",
    }

    def __init__(self, names: Sequence[str] = (), id_column: str = "image_id") -> None:
        """`names` puts the labels in order; without it they are sorted. And the submission's id column."""
        self.names, self.id_column = list(names), id_column

    def classes(self, train: pd.DataFrame) -> list[str]:
        """The labels. Raises UserError for one that is not among the names given, or that no image has."""
        counts: Counter[str] = Counter()
        for image_id, labels in zip(train["image_id"], train["labels"], strict=True):
            if not isinstance(labels, (list, tuple, np.ndarray)) or len(set(labels)) != len(labels):
                raise UserError(
                    f"image {image_id}: labels is {labels!r}, and must be a list of different names"
                )
            unknown = sorted(set(labels) - set(self.names)) if self.names else []
            if unknown:
                raise UserError(
                    f"image {image_id}: unknown label {unknown[0]!r}; correct it, or name it where the task "
                    "is made"
                )
            counts.update(labels)
        without = [name for name in self.names if not counts[name]]
        if without or not counts:
            raise UserError(f"no training image has the label(s) {name_some(without) or 'at all'}")
        return self.names or sorted(counts)

    def strata(self, train: pd.DataFrame) -> pd.Series:
        """The rarest label of each image, or that it has none."""
        counts = Counter(label for labels in train["labels"] for label in labels)
        rarest = [
            min(labels, key=lambda name: (counts[name], name), default="") for labels in train["labels"]
        ]
        return pd.Series(rarest, index=train.index)

    def targets(self, frame: pd.DataFrame, classes: Sequence[str], config: Config) -> FixedTargets:
        """float32 (N, C) of 0 and 1."""
        return FixedTargets(torch.from_numpy(self.truth(frame, classes).astype("float32")))

    def as_targets(self, values: np.ndarray) -> np.ndarray:
        """From 0 to 1, whatever blending has made of them."""
        return values.clip(0, 1)

    def labels_of(self, values: np.ndarray, classes: Sequence[str]) -> dict[str, list]:
        """Those that are more probable than not."""
        names = np.asarray(classes, dtype=object)
        return {"labels": [names[row].tolist() for row in values > 0.5]}

    def sureness(self, values: np.ndarray) -> np.ndarray:
        """That of the label that is least sure to be there or not."""
        return np.maximum(values, 1 - values).min(axis=1)

    def truth(self, frame: pd.DataFrame, classes: Sequence[str], column: str = "labels") -> np.ndarray:
        """bool (N, C): which labels a column of lists has."""
        index = {name: place for place, name in enumerate(classes)}
        table = np.zeros((len(frame), len(classes)), dtype=bool)
        for row, labels in enumerate(frame[column]):
            table[row, [index[label] for label in labels]] = True
        return table

    def draw(self, image: np.ndarray, target: torch.Tensor, classes: Sequence[str]) -> tuple[np.ndarray, str]:
        """The image as it is and its labels; of a mixed target with their shares."""
        shares = {classes[int(index)]: float(target[index]) for index in target.nonzero().flatten()}
        names = [name if share == 1 else f"{name} {share:.2f}" for name, share in shares.items()]
        return image, "\n".join(names[:3])

    def objective(self, config: Config, targets: Targets) -> OutputLoss:
        """The loss that ``train.loss`` names."""
        train = config.train
        if train.loss == "focal":
            return OutputLoss(Focal())
        if train.loss == "asymmetric":
            return OutputLoss(Asymmetric())
        assert targets.fixed is not None
        weights = positive_weights(targets.fixed, train.balance)
        return OutputLoss(BinaryCrossEntropy(train.label_smoothing, weights))

    def activate(self, outputs: torch.Tensor) -> torch.Tensor:
        """Sigmoid."""
        return outputs.sigmoid()

    def evidence(
        self, needs: Needs, truth: pd.DataFrame, predictions: pd.DataFrame, classes: Sequence[str]
    ) -> tuple[Rows, ...]:
        """Truth (N, C) of 0 and 1 with probabilities (N, C), or decisions bool (N, C): those of the column
        ``decided`` where a decision was made, else what is more probable than not."""
        if needs == "frames":
            return truth, predictions
        true, values = self.truth(truth, classes), values_of(predictions, classes)
        if needs == "probabilities":
            return true.astype("int64"), values
        if needs == "decisions":
            decided = self.truth(predictions, classes, DECIDED) if DECIDED in predictions else values > 0.5
            return true, decided
        raise self.no_evidence(needs)

    def blend(self, request: BlendRequest) -> Blended:
        """See `pipeline.tasks.blend`."""
        if request.method == "stack":
            truth = self.truth(request.truth, request.classes).astype("int64")
            return blend_stacked(request, truth, _label_stacker, _logits)
        return blend(request) if request.method in self.blend_methods else super().blend(request)

    def report(self, request: ReportRequest) -> Iterator[Part]:
        """See `pipeline.tasks.multilabel.report`."""
        return report(request)

    def submission_format(self, classes: Sequence[str]) -> SubmissionFormat:
        """An id and a probability for each label."""
        return SubmissionFormat(self.id_column, {name: Probability() for name in classes})

    def to_submission(self, predictions: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
        """The probabilities."""
        rows = predictions[["image_id", *classes]].rename(columns={"image_id": self.id_column})
        return rows.assign(**{name: rows[name].clip(0, 1) for name in classes})


def _label_stacker(features: np.ndarray, labels: np.ndarray) -> Model:
    """From logits to the probability of one label."""
    model = stacker(features, labels, 2)
    return lambda other: model(other)[:, 1]


def _logits(probabilities: np.ndarray) -> np.ndarray:
    return logit(probabilities.clip(1e-6, 1 - 1e-6))
