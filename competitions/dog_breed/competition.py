"""Kaggle's dog-breed-identification: labels.csv (id,breed), train/<id>.jpg, test/<id>.jpg and
sample_submission.csv, a probability for each of 120 breeds, scored by log loss."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from competitions.dog_breed.sample import write_sample
from pipeline.competition import base
from pipeline.competition.base import Mirror
from pipeline.frame.pairing import pair_labels
from pipeline.frame.submission import Probability, SubmissionFormat
from pipeline.frame.values import values_of
from pipeline.metrics.usual import ACCURACY, LOG_LOSS
from pipeline.raw.files import RawFiles
from pipeline.tasks.classification.task import Classification


class Competition(base.Competition):
    """The competition; the breeds are those of labels.csv, in alphabetical order, as in Kaggle's sample."""

    kaggle_slug = "dog-breed-identification"
    mirror = Mirror(
        "https://d2l-data.s3-accelerate.amazonaws.com/kaggle_dog_tiny.zip",
        "0cb91d09b814ecdc07b50f31f8dcad3e81d6a86d",
    )
    task = Classification()
    metric = LOG_LOSS
    extra_metrics = (ACCURACY,)

    def load_train(self, raw: RawFiles) -> pd.DataFrame:
        """image_id, path, label."""
        labels = raw.read_csv("labels.csv", ["id", "breed"])
        labels = labels.rename(columns={"id": "image_id", "breed": "label"})
        return pair_labels(labels, raw.images("train"), "labels.csv", "train")

    def load_test(self, raw: RawFiles) -> pd.DataFrame:
        """image_id, path."""
        return raw.images("test")

    def submission_format(self, classes: Sequence[str]) -> SubmissionFormat:
        """id and the probability of each breed."""
        return SubmissionFormat("id", {name: Probability() for name in classes})

    def to_submission(
        self, predictions: pd.DataFrame, test: pd.DataFrame, classes: Sequence[str]
    ) -> pd.DataFrame:
        """The probabilities of each image, with a sum of 1 in float64, which Kaggle checks to six digits."""
        values = values_of(predictions, classes)
        shares = pd.DataFrame(values / values.sum(axis=1, keepdims=True), columns=list(classes))
        return pd.concat([predictions["image_id"].rename("id").reset_index(drop=True), shares], axis=1)

    def make_sample(self, raw: Path, seed: int) -> pd.DataFrame:
        """See `competitions.dog_breed.sample`."""
        return write_sample(raw, seed)
