"""plant-pathology-2021-fgvc8: words separated by blanks; a threshold for each fitted for the micro F1."""

from pipeline.competition import base
from pipeline.frame.pairing import pair_labels
from pipeline.frame.submission import SubmissionFormat, Words
from pipeline.metrics.usual import f_beta
from pipeline.prediction.decide import DECIDED, Thresholds
from pipeline.tasks.multilabel.config import AugmentConfig, Config, FoldConfig, PredictConfig, TrainConfig
from pipeline.tasks.multilabel.task import Multilabel
from tests.gallery.plant_pathology_2021.generator import write_sample


class Competition(base.Competition):
    kaggle_slug = "plant-pathology-2021-fgvc8"
    task = Multilabel(id_column="image")
    metric = f_beta(average="micro")
    decision = Thresholds(per_class=True, at_least=1)

    def load_train(self, raw):
        table = raw.read_csv("train.csv", ["image", "labels"]).rename(columns={"image": "image_id"})
        labels = table.assign(labels=table["labels"].str.split())
        return pair_labels(labels, _images(raw, "train_images"), "train.csv", "train_images")

    def load_test(self, raw):
        return _images(raw, "test_images")

    def submission_format(self, classes):
        return SubmissionFormat("image", {"labels": Words(classes, least=1)})

    def to_submission(self, predictions, test, classes):
        rows = predictions[["image_id", DECIDED]].set_axis(["image", "labels"], axis=1)
        return rows.assign(labels=rows["labels"].str.join(" "))

    def make_sample(self, raw, seed):
        return write_sample(raw, seed)


def _images(raw, folder):
    return raw.images(folder).assign(image_id=lambda files: files["image_id"] + ".jpg")


CONFIGS = {
    "sample": Config(
        folds=FoldConfig(scheme="holdout", valid_ratio=0.2),
        augment=AugmentConfig(horizontal_flip=False, crop="none"),
        train=TrainConfig(epochs=4, batch_size=32, lr=0.2, workers=0),
        predict=PredictConfig(flip=False),
    )
}
