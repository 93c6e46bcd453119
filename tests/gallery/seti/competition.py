"""seti-breakthrough-listen: six float16 spectrograms, of which the 1st, 3rd and 5th may have a signal."""

import pandas as pd

from pipeline.competition import base
from pipeline.frame.pairing import pair_labels
from pipeline.frame.submission import Probability, SubmissionFormat
from pipeline.metrics.usual import ROC_AUC
from pipeline.readers.arrays import Arrays
from pipeline.tasks.classification.config import AugmentConfig, Config, FoldConfig, PredictConfig, TrainConfig
from pipeline.tasks.classification.task import Classification
from tests.gallery.seti.generator import write_sample


def listed(raw, split):
    folders = sorted(path.name for path in raw.find(split).iterdir() if path.is_dir())
    return pd.concat([raw.images(f"{split}/{name}", [".npy"]) for name in folders], ignore_index=True)


class Competition(base.Competition):
    kaggle_slug = "seti-breakthrough-listen"
    task = Classification()
    metric = ROC_AUC
    reader = Arrays(axes="chw", take=(0, 2, 4))

    def load_train(self, raw):
        labels = raw.read_csv("train_labels.csv", ["id", "target"])
        labels = labels.set_axis(["image_id", "label"], axis=1)
        return pair_labels(labels, listed(raw, "train"), "train_labels.csv", "train")

    def load_test(self, raw):
        return listed(raw, "test")

    def submission_format(self, classes):
        return SubmissionFormat("id", {"target": Probability()})

    def to_submission(self, predictions, test, classes):
        return pd.DataFrame({"id": predictions["image_id"], "target": predictions["1"].clip(0, 1)})

    def make_sample(self, raw, seed):
        return write_sample(raw, seed)


CONFIGS = {
    "sample": Config(
        folds=FoldConfig(scheme="holdout", valid_ratio=0.2),
        augment=AugmentConfig(vertical_flip=True),
        train=TrainConfig(epochs=4, batch_size=32),
        predict=PredictConfig(flip=False),
    )
}
