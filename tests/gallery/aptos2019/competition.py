"""aptos2019-blindness-detection: grades 0 to 4 as numbers, cut where the kappa is best."""

from pipeline.competition import base
from pipeline.frame.pairing import pair_labels
from pipeline.frame.submission import OneOf, SubmissionFormat
from pipeline.metrics.usual import QUADRATIC_KAPPA
from pipeline.prediction.decide import DECIDED, CutPoints
from pipeline.tasks.regression.config import Config, FoldConfig, PredictConfig, TrainConfig
from pipeline.tasks.regression.task import Regression
from tests.gallery.aptos2019.generator import write_sample


class Competition(base.Competition):
    kaggle_slug = "aptos2019-blindness-detection"
    task = Regression(["diagnosis"], low=0, high=4)
    metric = QUADRATIC_KAPPA
    decision = CutPoints(0, 4)

    def load_train(self, raw):
        labels = raw.read_csv("train.csv", ["id_code", "diagnosis"]).rename(columns={"id_code": "image_id"})
        return pair_labels(labels, raw.images("train_images"), "train.csv", "train_images")

    def load_test(self, raw):
        return raw.images("test_images")

    def submission_format(self, classes):
        return SubmissionFormat("id_code", {"diagnosis": OneOf(list("01234"))})

    def to_submission(self, predictions, test, classes):
        rows = predictions[["image_id", DECIDED]].set_axis(["id_code", "diagnosis"], axis=1)
        return rows.astype("str")

    def make_sample(self, raw, seed):
        return write_sample(raw, seed)


CONFIGS = {
    "sample": Config(
        folds=FoldConfig(scheme="holdout", valid_ratio=0.2),
        train=TrainConfig(epochs=4, batch_size=32, workers=0),
        predict=PredictConfig(flip=False),
    )
}
