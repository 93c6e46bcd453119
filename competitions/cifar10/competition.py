"""Kaggle's CIFAR-10: trainLabels.csv, sampleSubmission.csv, train/<id>.png, test/<id>.png, scored by
accuracy."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from competitions.cifar10.sample import write_sample
from pipeline.base.errors import UserError, name_some
from pipeline.competition.contract import Mirror, OtherFormat
from pipeline.delivery.submission import OneOf, SubmissionFormat
from pipeline.frame.pairing import pair_labels
from pipeline.raw.files import RawFiles
from pipeline.tasks.classification.task import Classification, log_loss

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


class Competition:
    """See `pipeline.competition.contract.Competition`."""

    slug = "cifar10"
    kaggle_slug = "cifar-10"
    mirror = Mirror(
        "https://d2l-data.s3-accelerate.amazonaws.com/kaggle_cifar10_tiny.zip",
        "2068874e4b9a9f0fb07ebe0ad2b29754449ccacd",
    )
    task = Classification()
    other_formats: Mapping[str, OtherFormat] = {}
    metric = "accuracy_score"

    def load_train(self, raw: RawFiles) -> pd.DataFrame:
        """image_id, path, label."""
        labels = raw.read_csv("trainLabels.csv", ["id", "label"]).rename(columns={"id": "image_id"})
        unknown = labels[~labels["label"].isin(CLASSES)]
        if len(unknown):
            first = unknown.iloc[0]
            raise UserError(
                f"trainLabels.csv: unknown label {first['label']!r} for id {first['image_id']}"
                f"{f' and {len(unknown) - 1} more row(s)' if len(unknown) > 1 else ''}; "
                f"the labels are {name_some(CLASSES, 10)}"
            )
        return pair_labels(labels, raw.images("train"), "trainLabels.csv", "train")

    def load_test(self, raw: RawFiles) -> pd.DataFrame:
        """image_id, path."""
        return raw.images("test")

    def load_sample_submission(self, raw: RawFiles) -> pd.DataFrame:
        """id, label."""
        return raw.read_csv("sampleSubmission.csv", ["id", "label"])

    def score(self, truth: pd.DataFrame, predictions: pd.DataFrame, classes: Sequence[str]) -> float:
        """Share of images whose most probable class is the true one."""
        return float(np.mean(truth["label"].to_numpy() == self._labels(predictions, classes)))

    def extra_scores(
        self, truth: pd.DataFrame, predictions: pd.DataFrame, classes: Sequence[str]
    ) -> dict[str, float]:
        """Log loss."""
        return {"log_loss": log_loss(truth, predictions, classes)}

    def submission_format(self, classes: Sequence[str]) -> SubmissionFormat:
        """id and one of the ten names."""
        return SubmissionFormat("id", {"label": OneOf(CLASSES)})

    def to_submission(self, predictions: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
        """The most probable class of each image."""
        return pd.DataFrame({"id": predictions["image_id"], "label": self._labels(predictions, classes)})

    def make_sample(self, raw: Path, seed: int) -> pd.DataFrame:
        """See `competitions.cifar10.sample`."""
        return write_sample(raw, CLASSES, seed)

    def _labels(self, predictions: pd.DataFrame, classes: Sequence[str]) -> np.ndarray:
        return np.asarray(classes)[predictions[list(classes)].to_numpy().argmax(axis=1)]
