"""siim-isic-melanoma-classification: few positive images, patients kept in one fold, a table of each."""

import pandas as pd

from pipeline.competition import base
from pipeline.frame.pairing import pair_labels
from pipeline.frame.submission import Probability, SubmissionFormat
from pipeline.inputs.table import Table
from pipeline.metrics.usual import ROC_AUC
from pipeline.tasks.classification.config import AugmentConfig, Config, FoldConfig, PredictConfig, TrainConfig
from pipeline.tasks.classification.task import Classification
from tests.gallery.siim_isic.generator import write_sample


class Competition(base.Competition):
    kaggle_slug = "siim-isic-melanoma-classification"
    task = Classification()
    metric = ROC_AUC
    table = Table(numbers=("age_approx",), categories=("sex", "anatom_site_general_challenge"))

    def load_train(self, raw):
        return _paired(raw, "train", {"target": "label"})

    def load_test(self, raw):
        return _paired(raw, "test", {})

    def submission_format(self, classes):
        return SubmissionFormat("image_name", {"target": Probability()})

    def to_submission(self, predictions, test, classes):
        return pd.DataFrame({"image_name": predictions["image_id"], "target": predictions["1"].clip(0, 1)})

    def make_sample(self, raw, seed):
        return write_sample(raw, seed)


def _paired(raw, split, targets):
    names = {"image_name": "image_id", "patient_id": "group", **targets}
    rows = raw.read_csv(f"{split}.csv", [*names], optional=Competition.table.columns)
    rows = rows[[*names, *Competition.table.columns]].rename(columns=names)
    return pair_labels(rows, raw.images(f"jpeg/{split}"), f"{split}.csv", f"jpeg/{split}")


CONFIGS = {
    "sample": Config(
        folds=FoldConfig(scheme="stratified_group", count=4, use=1),
        augment=AugmentConfig(horizontal_flip=False),
        train=TrainConfig(epochs=2, batch_size=32, oversample=0.5, workers=0),
        predict=PredictConfig(flip=False),
    )
}
