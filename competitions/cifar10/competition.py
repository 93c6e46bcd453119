"""Kaggle's CIFAR-10: trainLabels.csv, sampleSubmission.csv, train/<id>.png, test/<id>.png, scored by
accuracy."""

from pathlib import Path

import pandas as pd

from competitions.cifar10.sample import write_sample
from pipeline.base.errors import UserError, name_some
from pipeline.competition import base
from pipeline.competition.base import Mirror
from pipeline.frame.pairing import pair_labels
from pipeline.metrics.usual import ACCURACY, LOG_LOSS
from pipeline.raw.files import RawFiles
from pipeline.tasks.classification.task import Classification

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


class Competition(base.Competition):
    """The competition, with the usual submission of its task but for the id's name."""

    kaggle_slug = "cifar-10"
    mirror = Mirror(
        "https://d2l-data.s3-accelerate.amazonaws.com/kaggle_cifar10_tiny.zip",
        "2068874e4b9a9f0fb07ebe0ad2b29754449ccacd",
    )
    task = Classification(id_column="id")
    metric = ACCURACY
    extra_metrics = (LOG_LOSS,)

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

    def make_sample(self, raw: Path, seed: int) -> pd.DataFrame:
        """See `competitions.cifar10.sample`."""
        return write_sample(raw, CLASSES, seed)
