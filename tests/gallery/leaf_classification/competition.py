"""leaf-classification: binary pictures of leaves, train and test in one folder; the images alone are used."""

from pipeline.competition import base
from pipeline.frame.pairing import pair_labels
from pipeline.frame.submission import Probability, SubmissionFormat
from pipeline.metrics.usual import LOG_LOSS
from pipeline.tasks.classification.config import AugmentConfig, Config, FoldConfig, PredictConfig, TrainConfig
from pipeline.tasks.classification.task import Classification
from tests.gallery.leaf_classification.generator import write_sample


class Competition(base.Competition):
    kaggle_slug = "leaf-classification"
    task = Classification()
    metric = LOG_LOSS

    def load_train(self, raw):
        labels = raw.read_csv("train.csv", ["id", "species"])[["id", "species"]]
        return _listed(raw, labels.set_axis(["image_id", "label"], axis=1), "train.csv")

    def load_test(self, raw):
        return _listed(
            raw, raw.read_csv("test.csv", ["id"])[["id"]].set_axis(["image_id"], axis=1), "test.csv"
        )

    def submission_format(self, classes):
        return SubmissionFormat("id", {name: Probability() for name in classes})

    def to_submission(self, predictions, test, classes):
        rows = predictions[["image_id", *classes]].rename(columns={"image_id": "id"})
        return rows.assign(**{name: rows[name].clip(0, 1) for name in classes})

    def make_sample(self, raw, seed):
        return write_sample(raw, seed)


def _listed(raw, table, name):
    files = raw.images("images")
    return pair_labels(table, files[files["image_id"].isin(table["image_id"])], name, "images")


CONFIGS = {
    "sample": Config(
        folds=FoldConfig(scheme="holdout", valid_ratio=0.1),
        augment=AugmentConfig(horizontal_flip=False),
        train=TrainConfig(epochs=4, batch_size=32, lr=0.2, workers=0),
        predict=PredictConfig(flip=False),
    )
}
