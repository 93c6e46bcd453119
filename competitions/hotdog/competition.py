"""Hotdog or not: train/hotdog/, train/not-hotdog/, test/<id>.jpg and sample_submission.csv (id,hotdog),
scored by accuracy.

The public archive of Dive into Deep Learning has its test images in folders of the two names, and no sample
file. Such test images get numbers that say nothing about their folder, and the sample file is made from them.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from competitions.hotdog.sample import write_sample
from pipeline.competition import base
from pipeline.competition.base import Mirror
from pipeline.frame.class_folders import labelled_by_folder, unlabelled
from pipeline.frame.submission import Probability, SubmissionFormat
from pipeline.metrics.usual import ACCURACY, LOG_LOSS
from pipeline.raw.files import RawFiles
from pipeline.tasks.classification.task import Classification

CLASSES = ("hotdog", "not-hotdog")


class Competition(base.Competition):
    """The competition; what is handed in is a probability."""

    mirror = Mirror(
        "http://d2l-data.s3-accelerate.amazonaws.com/hotdog.zip",
        "fba480ffa8aa7e0febbb511d181409f899b9baa5",
    )
    task = Classification()
    metric = ACCURACY
    extra_metrics = (LOG_LOSS,)

    def load_train(self, raw: RawFiles) -> pd.DataFrame:
        """image_id (``<class>/<name>``), path, label."""
        return labelled_by_folder(raw, "train", CLASSES)

    def load_test(self, raw: RawFiles) -> pd.DataFrame:
        """image_id, path."""
        return unlabelled(raw, "test")

    def submission_format(self, classes: Sequence[str]) -> SubmissionFormat:
        """id and the probability of a hotdog."""
        return SubmissionFormat("id", {"hotdog": Probability()})

    def to_submission(
        self, predictions: pd.DataFrame, test: pd.DataFrame, classes: Sequence[str]
    ) -> pd.DataFrame:
        """The probability of a hotdog in each image."""
        # A softmax may exceed 1 by a rounding error.
        return pd.DataFrame({"id": predictions["image_id"], "hotdog": predictions["hotdog"].clip(0, 1)})

    def make_sample(self, raw: Path, seed: int) -> pd.DataFrame:
        """See `competitions.hotdog.sample`."""
        return write_sample(raw, CLASSES, seed)
