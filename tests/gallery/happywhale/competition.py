"""happy-whale-and-dolphin: five names for each image; who has one image stands for the new."""

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
from tests.gallery.happywhale.generator import write_sample

NEW = "new_individual"


class Competition(base.Competition):
    kaggle_slug = "happy-whale-and-dolphin"
    task = Classification()
    metric = map_at(5)
    decision = UnknownClass(NEW)

    def load_train(self, raw):
        names = {"image": "image_id", "individual_id": "label"}
        labels = raw.read_csv("train.csv", [*names])[[*names]].rename(columns=names)
        once = ~labels["label"].duplicated(keep=False)
        labels["label"] = labels["label"].mask(once, NEW)
        return pair_labels(labels, _images(raw, "train_images"), "train.csv", "train_images")

    def load_test(self, raw):
        return _images(raw, "test_images")

    def submission_format(self, classes):
        return SubmissionFormat("image", {"predictions": Words(classes, least=5, most=5)})

    def to_submission(self, predictions, test, classes):
        cells = [" ".join(names) for names in top_names(predictions, classes, 5)]
        return pd.DataFrame({"image": predictions["image_id"], "predictions": cells})

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
