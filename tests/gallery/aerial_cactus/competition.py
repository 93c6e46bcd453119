"""aerial-cactus-identification: train.zip, test.zip and train.csv, whose ids end with .jpg."""

from pipeline.competition import base
from pipeline.frame.pairing import pair_labels
from pipeline.frame.submission import Probability, SubmissionFormat
from pipeline.metrics.usual import ROC_AUC
from pipeline.tasks.classification.config import AugmentConfig, Config, FoldConfig, PredictConfig, TrainConfig
from pipeline.tasks.classification.task import Classification
from tests.gallery.aerial_cactus.generator import write_sample


class Competition(base.Competition):
    kaggle_slug = "aerial-cactus-identification"
    task = Classification()
    metric = ROC_AUC

    def load_train(self, raw):
        labels = raw.read_csv("train.csv", ["id", "has_cactus"])
        labels = labels.rename(columns={"id": "image_id", "has_cactus": "label"})
        return pair_labels(labels, _images(raw, "train"), "train.csv", "train.zip")

    def load_test(self, raw):
        return _images(raw, "test")

    def submission_format(self, classes):
        return SubmissionFormat("id", {"has_cactus": Probability()})

    def to_submission(self, predictions, test, classes):
        return (
            predictions[["image_id"]].set_axis(["id"], axis=1).assign(has_cactus=predictions["1"].clip(0, 1))
        )

    def make_sample(self, raw, seed):
        return write_sample(raw, seed)


def _images(raw, folder):
    return raw.images(folder).assign(image_id=lambda files: files["image_id"] + ".jpg")


CONFIGS = {
    "sample": Config(
        folds=FoldConfig(scheme="holdout", valid_ratio=0.2),
        augment=AugmentConfig(horizontal_flip=False),
        train=TrainConfig(epochs=2, batch_size=32, workers=0),
        predict=PredictConfig(flip=False),
    )
}
