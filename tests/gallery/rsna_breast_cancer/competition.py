"""rsna-breast-cancer-detection: the views of a breast are one row, `patient_side`; age helps."""

import pandas as pd

from pipeline.competition import base
from pipeline.frame.bags import bags_of
from pipeline.frame.submission import Probability, SubmissionFormat
from pipeline.inputs.table import Table
from pipeline.metrics.usual import PROBABILISTIC_F1
from pipeline.readers.bag import Bag
from pipeline.readers.dicom import Dicom
from pipeline.tasks.classification.config import AugmentConfig, Config, FoldConfig, PredictConfig, TrainConfig
from pipeline.tasks.classification.task import Classification
from tests.gallery.rsna_breast_cancer.generator import write_sample


class Competition(base.Competition):
    kaggle_slug = "rsna-breast-cancer-detection"
    task = Classification()
    metric = PROBABILISTIC_F1
    reader = Bag(each=Dicom(window="file"), most=4, size=(32, 32))
    table = Table(numbers=("age",), categories=("implant",))

    def load_train(self, raw):
        table = _breasts(raw, "train", ["patient_id", "image_id", "laterality", "implant", "cancer"])
        return table.rename(columns={"cancer": "label", "patient_id": "group"})

    def load_test(self, raw):
        return _breasts(raw, "test", ["patient_id", "image_id", "laterality", "implant"])

    def submission_format(self, classes):
        return SubmissionFormat("prediction_id", {"cancer": Probability()})

    def to_submission(self, predictions, test, classes):
        return pd.DataFrame({"prediction_id": predictions["image_id"], "cancer": predictions["1"].clip(0, 1)})

    def make_sample(self, raw, seed):
        return write_sample(raw, seed)


def _breasts(raw, split, columns):
    table = raw.read_csv(f"{split}.csv", columns, optional=["age"])[[*columns, "age"]]
    folder = f"{raw.find(f'{split}_images')}/"
    table["path"] = folder + table["patient_id"] + "/" + table["image_id"] + ".dcm"
    table["breast"] = table["patient_id"] + "_" + table.pop("laterality")
    return bags_of(table, by="breast")


CONFIGS = {
    "sample": Config(
        folds=FoldConfig(scheme="stratified_group", count=4, use=1),
        augment=AugmentConfig(horizontal_flip=False),
        train=TrainConfig(epochs=4, batch_size=32, oversample=0.5, workers=0),
        predict=PredictConfig(flip=False),
    )
}
