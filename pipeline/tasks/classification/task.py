"""One label per image."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from torch import nn

from pipeline.base.errors import UserError
from pipeline.base.parts import Part
from pipeline.frame.submission import OneOf, SubmissionFormat
from pipeline.frame.top import MOST_DENSE, is_top, read_top, top_frame, top_of
from pipeline.frame.values import likely, values_of
from pipeline.inputs.batches import Targets
from pipeline.inputs.preprocess import Preprocess
from pipeline.metrics.metric import Needs
from pipeline.networks.arcface import Angles, AngularMargin, ArcFaceHead, WithNeighbours
from pipeline.networks.joint import Batch, JointNetwork
from pipeline.prediction.request import Request
from pipeline.tasks.classification.blend import METHODS, blend
from pipeline.tasks.classification.config import Config, PredictConfig
from pipeline.tasks.classification.report import report
from pipeline.tasks.exclusive import ExclusiveTask
from pipeline.tasks.export import WholeImageGraph
from pipeline.tasks.task import Blended, BlendRequest, Mixer, OutputLoss, ReportRequest, Rows
from pipeline.tasks.whole_image import FixedTargets, mixer_of


class Classification(ExclusiveTask[Config]):
    """Truth: a ``label`` column. Predictions: one probability column per class, rows summing to 1; of very
    many classes the most probable ones of each row (`pipeline.frame.top`)."""

    config = Config
    target_columns = ("label",)
    name_columns: ClassVar[tuple[str, ...]] = ("label",)
    blend_methods: ClassVar[Mapping[str, str]] = METHODS

    def __init__(self, id_column: str = "image_id", label_column: str = "label") -> None:
        """The columns of the usual submission."""
        self.id_column, self.label_column = id_column, label_column

    def classes(self, train: pd.DataFrame) -> list[str]:
        """The distinct labels, sorted. Raises UserError where there is only one."""
        names = sorted(train["label"].unique())
        if len(names) < 2:
            raise UserError(
                f"every training image has the label {names[0]!r}: a classifier needs at least two classes"
            )
        return names

    def strata(self, train: pd.DataFrame) -> pd.Series:
        """The labels."""
        return train["label"]

    def targets(self, frame: pd.DataFrame, classes: Sequence[str], config: Config) -> FixedTargets:
        """int64 class indices (N,)."""
        return FixedTargets(torch.from_numpy(self._codes(frame, classes)))

    def labels_of(self, values: np.ndarray, classes: Sequence[str]) -> dict[str, list]:
        """The most probable class."""
        return {"label": np.asarray(classes, dtype=object)[values.argmax(axis=1)].tolist()}

    def draw(self, image: np.ndarray, target: torch.Tensor, classes: Sequence[str]) -> tuple[np.ndarray, str]:
        """The image as it is and the class name; for a mixed target the names and shares."""
        if target.ndim == 0:
            return image, classes[int(target)]
        shares = {classes[int(index)]: float(target[index]) for index in target.argsort(descending=True)[:2]}
        return image, "\n".join(f"{name} {share:.2f}" for name, share in shares.items() if share > 0.005)

    def mixer(self, config: Config, classes: Sequence[str]) -> Mixer:
        """Mixed targets are probabilities (N, C)."""
        return mixer_of(config.augment, len(classes))

    def head(self, config: Config, outputs: int) -> Callable[[int], nn.Module] | None:
        """See WholeImageTask."""
        model = config.model
        if model.head == "linear":
            return None
        angles = Angles(embedding=model.embedding, centres=model.centres, scale=model.scale)
        return lambda features: ArcFaceHead(features, outputs, angles)

    def objective(self, config: Config, targets: Targets) -> OutputLoss:
        """See ExclusiveTask; with a margin for arcface."""
        objective, model = super().objective(config, targets), config.model
        if model.head == "linear":
            return objective
        return OutputLoss(AngularMargin(objective.loss, model.margin, model.scale))

    def remembers(self, config: Config) -> bool:
        """See Task."""
        return config.model.head == "arcface"

    def remembered(
        self, model: nn.Module, batches: Iterator[tuple[np.ndarray, Batch]], targets: Targets
    ) -> dict[str, torch.Tensor]:
        """See Task: the embeddings of arcface, and their classes."""
        assert isinstance(model, JointNetwork) and isinstance(model.head, ArcFaceHead)
        assert targets.fixed is not None
        found = [model.head.embed(model.features(batch)).half().cpu() for _, batch in batches]
        return {"head.memory": torch.cat(found), "head.labels": targets.fixed}

    def predict(self, model: nn.Module, request: Request[Any]) -> Iterator[pd.DataFrame]:
        """See WholeImageTask; with the neighbours' share."""
        config: PredictConfig = request.config
        if config.knn:
            model = WithNeighbours(model, config.knn, config.neighbours).eval()
        yield from super().predict(model, request)

    def picture(
        self, image: np.ndarray, prediction: Mapping[str, Any], classes: Sequence[str]
    ) -> tuple[np.ndarray, str]:
        """See WholeImageTask."""
        if "top_1" not in prediction or "classes" not in prediction:
            return super().picture(image, prediction, classes)
        best = [(classes[prediction[f"top_{place}"]], prediction[f"p_{place}"]) for place in (1, 2, 3)]
        return image, ", ".join(f"{name} {value:.3g}" for name, value in best)

    def graph(self, model: nn.Module, preprocess: Preprocess, config: Config) -> WholeImageGraph:
        """See WholeImageTask; with the neighbours' share."""
        asked = config.predicting()
        if asked.knn:
            model = WithNeighbours(model, asked.knn, asked.neighbours).eval()
        return super().graph(model, preprocess, config)

    def framed(self, ids: np.ndarray, values: np.ndarray, classes: Sequence[str]) -> pd.DataFrame:
        """See WholeImageTask."""
        if len(classes) > MOST_DENSE:
            return top_frame(ids, top_of(values))
        return super().framed(ids, values, classes)

    def evidence(
        self, needs: Needs, truth: pd.DataFrame, predictions: pd.DataFrame, classes: Sequence[str]
    ) -> tuple[Rows, ...]:
        """Class indices (N,) with probabilities (N, C), of very many classes a `Top`, or most probable class
        indices (N,)."""
        if needs == "frames":
            return truth, predictions
        if is_top(predictions):
            top = read_top(predictions)
            if needs in ("probabilities", "decisions"):
                found = top if needs == "probabilities" else top.codes[:, 0].astype("int64")
                return self._codes(truth, classes), found
            raise self.no_evidence(needs)
        values = values_of(predictions, classes)
        if needs == "probabilities":
            return self._codes(truth, classes), values
        if needs == "decisions":
            return self._codes(truth, classes), values.argmax(axis=1)
        raise self.no_evidence(needs)

    def blend(self, request: BlendRequest) -> Blended:
        """See `pipeline.tasks.classification.blend`."""
        return blend(request) if request.method in METHODS else super().blend(request)

    def report(self, request: ReportRequest) -> Iterator[Part]:
        """See `pipeline.tasks.classification.report`."""
        return report(request)

    def submission_format(self, classes: Sequence[str]) -> SubmissionFormat:
        """An id and one of the classes."""
        return SubmissionFormat(self.id_column, {self.label_column: OneOf(classes)})

    def to_submission(self, predictions: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
        """The most probable class of each image."""
        return pd.DataFrame(
            {self.id_column: predictions["image_id"], self.label_column: likely(predictions, classes)}
        )

    def _codes(self, frame: pd.DataFrame, classes: Sequence[str]) -> np.ndarray:
        return pd.Index(classes).get_indexer(pd.Index(frame["label"])).astype("int64")
