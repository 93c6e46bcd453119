"""dogs-vs-cats-redux-kernels-edition: the label is in the file's name, ``dog.12.jpg``."""

import pandas as pd

from pipeline.competition import base
from pipeline.frame.submission import Probability, SubmissionFormat
from pipeline.metrics.usual import LOG_LOSS
from pipeline.tasks.classification.config import AugmentConfig, Config, FoldConfig, PredictConfig, TrainConfig
from pipeline.tasks.classification.task import Classification
from tests.gallery.dogs_vs_cats_redux.generator import write_sample


class Competition(base.Competition):
    kaggle_slug = "dogs-vs-cats-redux-kernels-edition"
    task = Classification()
    metric = LOG_LOSS

    def load_train(self, raw):
        return raw.images("train").assign(label=lambda files: files["image_id"].str.partition(".")[0])

    def load_test(self, raw):
        return raw.images("test")

    def submission_format(self, classes):
        return SubmissionFormat("id", {"label": Probability()})

    def to_submission(self, predictions, test, classes):
        return pd.DataFrame({"id": predictions["image_id"], "label": predictions["dog"].clip(0, 1)})

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
