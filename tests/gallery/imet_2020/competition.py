"""imet-2020-fgvc7: several numbered attributes an image; a threshold fitted for the micro F1."""

from pipeline.competition import base
from pipeline.frame.pairing import pair_labels
from pipeline.frame.submission import SubmissionFormat, Words
from pipeline.metrics.usual import f_beta
from pipeline.prediction.decide import DECIDED, Thresholds
from pipeline.tasks.multilabel.config import AugmentConfig, Config, FoldConfig, PredictConfig, TrainConfig
from pipeline.tasks.multilabel.task import Multilabel
from tests.gallery.imet_2020.generator import write_sample


class Competition(base.Competition):
    kaggle_slug = "imet-2020-fgvc7"
    task = Multilabel()
    metric = f_beta(average="micro")
    decision = Thresholds(at_least=1)

    def load_train(self, raw):
        table = raw.read_csv("train.csv", ["id", "attribute_ids"]).rename(columns={"id": "image_id"})
        labels = table[["image_id"]].assign(labels=table["attribute_ids"].str.split())
        return pair_labels(labels, raw.images("train"), "train.csv", "train")

    def load_test(self, raw):
        return raw.images("test")

    def submission_format(self, classes):
        return SubmissionFormat("id", {"attribute_ids": Words(classes)})

    def to_submission(self, predictions, test, classes):
        rows = predictions[["image_id", DECIDED]].set_axis(["id", "attribute_ids"], axis=1)
        return rows.assign(attribute_ids=rows["attribute_ids"].str.join(" "))

    def make_sample(self, raw, seed):
        return write_sample(raw, seed)


CONFIGS = {
    "sample": Config(
        folds=FoldConfig(scheme="holdout", valid_ratio=0.2),
        augment=AugmentConfig(horizontal_flip=False, crop="none"),
        train=TrainConfig(epochs=6, batch_size=32, lr=0.3, workers=0),
        predict=PredictConfig(flip=False),
    )
}
