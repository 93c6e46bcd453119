"""cdiscount-image-classification-challenge: one to four pictures of a product in a BSON document."""

from pipeline.competition import base
from pipeline.frame.bags import bags_of
from pipeline.frame.submission import OneOf, SubmissionFormat
from pipeline.metrics.usual import ACCURACY
from pipeline.readers.bag import Bag
from pipeline.readers.records import BsonPictures, scan_bson
from pipeline.tasks.classification.config import AugmentConfig, Config, FoldConfig, PredictConfig, TrainConfig
from pipeline.tasks.classification.task import Classification
from tests.gallery.cdiscount.generator import write_sample


class Competition(base.Competition):
    kaggle_slug = "cdiscount-image-classification-challenge"
    task = Classification()
    metric = ACCURACY
    reader = Bag(each=BsonPictures(), most=4)

    def load_train(self, raw):
        return _products(raw, "train.bson", ["_id", "category_id"]).rename(columns={"category_id": "label"})

    def load_test(self, raw):
        return _products(raw, "test.bson", ["_id"])

    def submission_format(self, classes):
        return SubmissionFormat("_id", {"category_id": OneOf(classes)})

    def to_submission(self, predictions, test, classes):
        rows = self.task.to_submission(predictions, classes)
        return rows.set_axis(["_id", "category_id"], axis=1)

    def make_sample(self, raw, seed):
        return write_sample(raw, seed)


def _products(raw, name, fields):
    pictures = scan_bson(raw.find(name), fields, count="imgs")
    return bags_of(pictures.assign(image_id=pictures["number"].astype("str")), by="_id", lists=["number"])


CONFIGS = {
    "sample": Config(
        folds=FoldConfig(scheme="holdout", valid_ratio=0.1),
        augment=AugmentConfig(horizontal_flip=False),
        train=TrainConfig(epochs=5, batch_size=32, workers=0),
        predict=PredictConfig(flip=False),
    )
}
