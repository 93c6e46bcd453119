"""invasive-species-monitoring: images in 7z archives, tables in zip archives of one file each."""

import pandas as pd

from pipeline.competition import base
from pipeline.frame.pairing import pair_labels
from pipeline.frame.submission import Probability, SubmissionFormat
from pipeline.metrics.usual import ROC_AUC
from pipeline.tasks.classification.config import AugmentConfig, Config, FoldConfig, PredictConfig, TrainConfig
from pipeline.tasks.classification.task import Classification
from tests.gallery.invasive_species.generator import write_sample


class Competition(base.Competition):
    kaggle_slug = "invasive-species-monitoring"
    task = Classification()
    metric = ROC_AUC

    def load_train(self, raw):
        labels = raw.read_csv("train_labels.csv", ["name", "invasive"])
        labels = labels.rename(columns={"name": "image_id", "invasive": "label"})
        return pair_labels(labels, raw.images("train"), "train_labels.csv", "train.7z")

    def load_test(self, raw):
        return raw.images("test")

    def submission_format(self, classes):
        return SubmissionFormat("name", {"invasive": Probability()})

    def to_submission(self, predictions, test, classes):
        return pd.DataFrame({"name": predictions["image_id"], "invasive": predictions["1"].clip(0, 1)})

    def make_sample(self, raw, seed):
        return write_sample(raw, seed)


CONFIGS = {
    "sample": Config(
        folds=FoldConfig(scheme="holdout", valid_ratio=0.2),
        augment=AugmentConfig(horizontal_flip=False),
        train=TrainConfig(epochs=2, batch_size=32, workers=0),
        predict=PredictConfig(flip=False),
    )
}
