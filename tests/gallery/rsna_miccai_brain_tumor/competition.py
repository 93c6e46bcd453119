"""rsna-miccai-brain-tumor-radiogenomic-classification: four series of slices for each patient, one row."""

import pandas as pd

from pipeline.base.errors import UserError
from pipeline.competition import base
from pipeline.frame.bags import bags_of
from pipeline.frame.submission import Probability, SubmissionFormat
from pipeline.metrics.usual import ROC_AUC
from pipeline.readers.bag import Bag
from pipeline.readers.dicom import Dicom
from pipeline.tasks.classification.config import (
    AugmentConfig,
    Config,
    FoldConfig,
    ModelConfig,
    PredictConfig,
    TrainConfig,
)
from pipeline.tasks.classification.task import Classification
from tests.gallery.rsna_miccai_brain_tumor.generator import write_sample


class Competition(base.Competition):
    kaggle_slug = "rsna-miccai-brain-tumor-radiogenomic-classification"
    task = Classification()
    metric = ROC_AUC
    reader = Bag(each=Dicom(), most=12, size=(32, 32))

    def load_train(self, raw):
        labels = raw.read_csv("train_labels.csv", ["BraTS21ID", "MGMT_value"])
        labels = labels.set_axis(["image_id", "label"], axis=1)
        return _patients(raw, "train").merge(labels, on="image_id", validate="one_to_one")

    def load_test(self, raw):
        return _patients(raw, "test")

    def submission_format(self, classes):
        return SubmissionFormat("BraTS21ID", {"MGMT_value": Probability()})

    def to_submission(self, predictions, test, classes):
        return pd.DataFrame({"BraTS21ID": predictions["image_id"], "MGMT_value": predictions["1"].clip(0, 1)})

    def make_sample(self, raw, seed):
        return write_sample(raw, seed)


def _patients(raw, split):
    files = sorted(raw.find(split).glob("*/*/Image-*.dcm"))
    if not files:
        raise UserError(f"{raw.find(split)} has no series of slices: check that the raw files are complete")
    names = [f"{file.parts[-2]}/{int(file.stem[6:]):06d}" for file in files]
    images = pd.DataFrame({"image_id": names, "path": map(str, files)})
    return bags_of(images.assign(patient=[file.parts[-3] for file in files]), by="patient")


CONFIGS = {
    "sample": Config(
        folds=FoldConfig(scheme="holdout", valid_ratio=0.2),
        model=ModelConfig(pool="attention"),
        augment=AugmentConfig(horizontal_flip=False),
        train=TrainConfig(epochs=6, batch_size=16, workers=0),
        predict=PredictConfig(flip=False),
    )
}
