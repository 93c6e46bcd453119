"""petfinder-pawpularity-score: a number from 1 to 100; the flags beside each image are not used."""

from pipeline.competition import base
from pipeline.frame.pairing import pair_labels
from pipeline.metrics.usual import RMSE
from pipeline.tasks.regression.config import Config, FoldConfig, PredictConfig, TrainConfig
from pipeline.tasks.regression.task import Regression
from tests.gallery.petfinder.generator import write_sample


class Competition(base.Competition):
    kaggle_slug = "petfinder-pawpularity-score"
    task = Regression(["Pawpularity"], low=1, high=100, id_column="Id")
    metric = RMSE

    def load_train(self, raw):
        labels = raw.read_csv("train.csv", ["Id", "Pawpularity"])[["Id", "Pawpularity"]]
        labels = labels.rename(columns={"Id": "image_id"})
        return pair_labels(labels, raw.images("train"), "train.csv", "train")

    def load_test(self, raw):
        return raw.images("test")

    def make_sample(self, raw, seed):
        return write_sample(raw, seed)


CONFIGS = {
    "sample": Config(
        folds=FoldConfig(scheme="holdout", valid_ratio=0.2),
        train=TrainConfig(epochs=4, batch_size=32, loss="bce", workers=0),
        predict=PredictConfig(flip=False),
    )
}
