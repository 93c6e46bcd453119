"""dog-breed-identification: 120 breeds; probabilities whose sum Kaggle checks to six digits."""

from pipeline.competition import base
from pipeline.frame.pairing import pair_labels
from pipeline.frame.submission import Probability, SubmissionFormat
from pipeline.metrics.usual import LOG_LOSS
from pipeline.tasks.classification.config import AugmentConfig, Config, FoldConfig, PredictConfig, TrainConfig
from pipeline.tasks.classification.task import Classification
from tests.gallery.dog_breed.generator import write_sample


class Competition(base.Competition):
    kaggle_slug = "dog-breed-identification"
    task = Classification()
    metric = LOG_LOSS

    def load_train(self, raw):
        labels = raw.read_csv("labels.csv", ["id", "breed"])
        labels = labels.rename(columns={"id": "image_id", "breed": "label"})
        return pair_labels(labels, raw.images("train"), "labels.csv", "train")

    def load_test(self, raw):
        return raw.images("test")

    def submission_format(self, classes):
        return SubmissionFormat("id", {name: Probability() for name in classes})

    def to_submission(self, predictions, test, classes):
        values = predictions[classes].astype("float64")
        rows = values.div(values.sum(axis=1), axis=0)
        rows.insert(0, "id", predictions["image_id"])
        return rows

    def make_sample(self, raw, seed):
        return write_sample(raw, seed)


CONFIGS = {
    "sample": Config(
        folds=FoldConfig(scheme="holdout", valid_ratio=0.1),
        augment=AugmentConfig(horizontal_flip=False),
        train=TrainConfig(epochs=4, batch_size=32, lr=0.1, workers=0),
        predict=PredictConfig(flip=False),
    )
}
