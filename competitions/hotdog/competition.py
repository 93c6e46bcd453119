"""Hotdog or not: train/hotdog/, train/not-hotdog/, test/<id>.jpg and sample_submission.csv (id,hotdog),
scored by accuracy.

The public archive of Dive into Deep Learning has its test images in folders of the two names, and no sample
file. Such test images get numbers that say nothing about their folder, and the sample file is made from them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from competitions.hotdog.sample import write_sample
from pipeline.base.errors import UserError
from pipeline.competition.contract import Mirror, OtherFormat, natural_order
from pipeline.delivery.submission import Probability, SubmissionFormat
from pipeline.frame.class_folders import labelled_by_folder, unlabelled
from pipeline.raw.files import RawFiles
from pipeline.tasks.classification.task import Classification, log_loss

CLASSES = ("hotdog", "not-hotdog")
SAMPLE_FILE = "sample_submission.csv"


class Competition:
    """See `pipeline.competition.contract.Competition`."""

    slug = "hotdog"
    kaggle_slug = None
    mirror = Mirror(
        "http://d2l-data.s3-accelerate.amazonaws.com/hotdog.zip",
        "fba480ffa8aa7e0febbb511d181409f899b9baa5",
    )
    task = Classification()
    other_formats: Mapping[str, OtherFormat] = {}
    metric = "accuracy_score"

    def load_train(self, raw: RawFiles) -> pd.DataFrame:
        """image_id (``<class>/<name>``), path, label."""
        return labelled_by_folder(raw, "train", CLASSES)

    def load_test(self, raw: RawFiles) -> pd.DataFrame:
        """image_id, path."""
        return unlabelled(raw, "test")

    def load_sample_submission(self, raw: RawFiles) -> pd.DataFrame:
        """id, hotdog; made from the test images where the raw files have none."""
        try:
            raw.find(SAMPLE_FILE)
        except UserError:
            ids = self.load_test(raw)["image_id"].sort_values(key=natural_order)
            return pd.DataFrame({"id": ids.to_numpy(), "hotdog": "0.5"}, dtype="str")
        return raw.read_csv(SAMPLE_FILE, ["id", "hotdog"])

    def score(self, truth: pd.DataFrame, predictions: pd.DataFrame, classes: Sequence[str]) -> float:
        """Share of images whose more probable class is the true one."""
        likely = np.asarray(classes)[predictions[list(classes)].to_numpy().argmax(axis=1)]
        return float(np.mean(truth["label"].to_numpy() == likely))

    def extra_scores(
        self, truth: pd.DataFrame, predictions: pd.DataFrame, classes: Sequence[str]
    ) -> dict[str, float]:
        """Log loss: how good the submitted probabilities are as such."""
        return {"log_loss": log_loss(truth, predictions, classes)}

    def submission_format(self, classes: Sequence[str]) -> SubmissionFormat:
        """id and the probability of a hotdog."""
        return SubmissionFormat("id", {"hotdog": Probability()})

    def to_submission(self, predictions: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
        """The probability of a hotdog in each image."""
        # A softmax may exceed 1 by a rounding error.
        return pd.DataFrame({"id": predictions["image_id"], "hotdog": predictions["hotdog"].clip(0, 1)})

    def make_sample(self, raw: Path, seed: int) -> pd.DataFrame:
        """See `competitions.hotdog.sample`."""
        return write_sample(raw, CLASSES, seed)
