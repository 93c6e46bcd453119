"""iwildcam-2019-fgvc6: camera traps; a place is never in two folds, and is new in the test images."""

from pipeline.competition import base
from pipeline.frame.pairing import pair_labels
from pipeline.frame.submission import OneOf, SubmissionFormat
from pipeline.metrics.usual import f_beta
from pipeline.tasks.classification.config import AugmentConfig, Config, FoldConfig, PredictConfig, TrainConfig
from pipeline.tasks.classification.task import Classification
from tests.gallery.iwildcam_2019.generator import write_sample

SPECIES = tuple(str(number) for number in range(23))


class Competition(base.Competition):
    kaggle_slug = "iwildcam-2019-fgvc6"
    task = Classification("Id", "Predicted")
    metric = f_beta(average="macro")

    def load_train(self, raw):
        labels = raw.read_csv("train.csv", ["id", "category_id", "location"])
        labels = labels.rename(columns={"id": "image_id", "category_id": "label", "location": "group"})
        labels = labels[["image_id", "label", "group"]]
        return pair_labels(labels, raw.images("train_images"), "train.csv", "train_images")

    def load_test(self, raw):
        return raw.images("test_images")

    def load_sample_submission(self, raw):
        return super().load_sample_submission(raw)[["Id", "Predicted"]]  # drops the index column

    def submission_format(self, classes):
        return SubmissionFormat("Id", {"Predicted": OneOf(SPECIES)})

    def make_sample(self, raw, seed):
        return write_sample(raw, seed)


CONFIGS = {
    "sample": Config(
        folds=FoldConfig(scheme="stratified_group", count=4, use=1),
        augment=AugmentConfig(horizontal_flip=False),
        train=TrainConfig(epochs=3, batch_size=32, workers=0),
        predict=PredictConfig(flip=False),
    )
}
