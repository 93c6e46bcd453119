"""plant-pathology-2020-fgvc7: four columns of 0 and 1 of which one is 1; train and test in one folder."""

from pipeline.competition import base
from pipeline.frame.pairing import pair_labels
from pipeline.frame.submission import Probability, SubmissionFormat
from pipeline.metrics.usual import MEAN_COLUMN_AUC
from pipeline.tasks.classification.config import AugmentConfig, Config, FoldConfig, PredictConfig, TrainConfig
from pipeline.tasks.classification.task import Classification
from tests.gallery.plant_pathology_2020.generator import write_sample

NAMES = ["healthy", "multiple_diseases", "rust", "scab"]


class Competition(base.Competition):
    kaggle_slug = "plant-pathology-2020-fgvc7"
    task = Classification()
    metric = MEAN_COLUMN_AUC

    def load_train(self, raw):
        table = raw.read_csv("train.csv", ["image_id", *NAMES])
        labels = table[["image_id"]].assign(label=table[NAMES].astype("int64").idxmax(axis=1))
        return pair_labels(labels, _images(raw, "Train_"), "train.csv", "images")

    def load_test(self, raw):
        return _images(raw, "Test_")

    def submission_format(self, classes):
        return SubmissionFormat("image_id", {name: Probability() for name in NAMES})

    def to_submission(self, predictions, test, classes):
        return predictions[["image_id", *NAMES]].assign(**{n: predictions[n].clip(0, 1) for n in NAMES})

    def make_sample(self, raw, seed):
        return write_sample(raw, seed)


def _images(raw, prefix):
    files = raw.images("images")
    return files[files["image_id"].str.startswith(prefix)].reset_index(drop=True)


CONFIGS = {
    "sample": Config(
        folds=FoldConfig(scheme="holdout", valid_ratio=0.2),
        augment=AugmentConfig(horizontal_flip=False),
        train=TrainConfig(epochs=2, batch_size=32, workers=0),
        predict=PredictConfig(flip=False),
    )
}
