"""humpback-whale-identification: five names for each image; two in five whales are new."""

import pandas as pd

from pipeline.competition import base
from pipeline.frame.pairing import pair_labels
from pipeline.frame.submission import SubmissionFormat, Words
from pipeline.frame.values import top_names
from pipeline.metrics.usual import map_at
from pipeline.prediction.unknown import UnknownClass
from pipeline.tasks.classification.config import (
    AugmentConfig,
    Config,
    FoldConfig,
    ModelConfig,
    PredictConfig,
    TrainConfig,
)
from pipeline.tasks.classification.task import Classification
from tests.gallery.humpback_whale.generator import write_sample


class Competition(base.Competition):
    kaggle_slug = "humpback-whale-identification"
    task = Classification()
    metric = map_at(5)
    decision = UnknownClass("new_whale")

    def load_train(self, raw):
        labels = raw.read_csv("train.csv", ["Image", "Id"]).set_axis(["image_id", "label"], axis=1)
        return pair_labels(labels, _images(raw, "train"), "train.csv", "train")

    def load_test(self, raw):
        return _images(raw, "test")

    def submission_format(self, classes):
        return SubmissionFormat("Image", {"Id": Words(classes, least=5, most=5)})

    def to_submission(self, predictions, test, classes):
        cells = [" ".join(names) for names in top_names(predictions, classes, 5)]
        return pd.DataFrame({"Image": predictions["image_id"], "Id": cells})

    def make_sample(self, raw, seed):
        return write_sample(raw, seed)


def _images(raw, folder):
    return raw.images(folder).assign(image_id=lambda files: files["image_id"] + ".jpg")


CONFIGS = {
    "sample": Config(
        folds=FoldConfig(scheme="holdout", valid_ratio=0.2),
        augment=AugmentConfig(horizontal_flip=False),
        model=ModelConfig(head="arcface", embedding=64, centres=2, global_pool="gem"),
        train=TrainConfig(epochs=6, batch_size=32, optimizer="adamw", lr=3e-3, workers=0),
        predict=PredictConfig(flip=False, knn=0.5, neighbours=5),
    )
}
