"""histopathologic-cancer-detection: TIFF files of 96 pixels."""

import pandas as pd

from pipeline.competition import base
from pipeline.frame.pairing import pair_labels
from pipeline.frame.submission import Probability, SubmissionFormat
from pipeline.metrics.usual import ROC_AUC
from pipeline.tasks.classification.config import AugmentConfig, Config, FoldConfig, PredictConfig, TrainConfig
from pipeline.tasks.classification.task import Classification
from tests.gallery.histopathologic_cancer.generator import write_sample


class Competition(base.Competition):
    kaggle_slug = "histopathologic-cancer-detection"
    task = Classification()
    metric = ROC_AUC

    def load_train(self, raw):
        labels = raw.read_csv("train_labels.csv", ["id", "label"]).rename(columns={"id": "image_id"})
        return pair_labels(labels, raw.images("train", (".tif",)), "train_labels.csv", "train")

    def load_test(self, raw):
        return raw.images("test", (".tif",))

    def submission_format(self, classes):
        return SubmissionFormat("id", {"label": Probability()})

    def to_submission(self, predictions, test, classes):
        return pd.DataFrame({"id": predictions["image_id"], "label": predictions["1"].clip(0, 1)})

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
