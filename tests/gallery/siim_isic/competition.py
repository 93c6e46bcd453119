"""siim-isic-melanoma-classification: few images are positive; a patient is never in two folds."""

import pandas as pd

from pipeline.competition import base
from pipeline.frame.pairing import pair_labels
from pipeline.frame.submission import Probability, SubmissionFormat
from pipeline.metrics.usual import ROC_AUC
from pipeline.tasks.classification.config import AugmentConfig, Config, FoldConfig, PredictConfig, TrainConfig
from pipeline.tasks.classification.task import Classification
from tests.gallery.siim_isic.generator import write_sample


class Competition(base.Competition):
    kaggle_slug = "siim-isic-melanoma-classification"
    task = Classification()
    metric = ROC_AUC

    def load_train(self, raw):
        labels = raw.read_csv("train.csv", ["image_name", "patient_id", "target"])
        labels = labels[["image_name", "patient_id", "target"]].set_axis(
            ["image_id", "group", "label"], axis=1
        )
        return pair_labels(labels, raw.images("jpeg/train"), "train.csv", "jpeg/train")

    def load_test(self, raw):
        return raw.images("jpeg/test")

    def submission_format(self, classes):
        return SubmissionFormat("image_name", {"target": Probability()})

    def to_submission(self, predictions, test, classes):
        return pd.DataFrame({"image_name": predictions["image_id"], "target": predictions["1"].clip(0, 1)})

    def make_sample(self, raw, seed):
        return write_sample(raw, seed)


CONFIGS = {
    "sample": Config(
        folds=FoldConfig(scheme="stratified_group", count=4, use=1),
        augment=AugmentConfig(horizontal_flip=False),
        train=TrainConfig(epochs=2, batch_size=32, oversample=0.5, workers=0),
        predict=PredictConfig(flip=False),
    )
}
