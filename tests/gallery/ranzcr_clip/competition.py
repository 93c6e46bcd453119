"""ranzcr-clip-catheter-line-classification: eleven findings, several an image; patients are groups."""

from pipeline.competition import base
from pipeline.frame.pairing import pair_labels
from pipeline.metrics.usual import MEAN_COLUMN_AUC
from pipeline.tasks.multilabel.config import AugmentConfig, Config, FoldConfig, PredictConfig, TrainConfig
from pipeline.tasks.multilabel.task import Multilabel
from tests.gallery.ranzcr_clip.generator import write_sample

FINDINGS = (
    *("ETT - Abnormal", "ETT - Borderline", "ETT - Normal"),
    *("NGT - Abnormal", "NGT - Borderline", "NGT - Incompletely Imaged", "NGT - Normal"),
    *("CVC - Abnormal", "CVC - Borderline", "CVC - Normal", "Swan Ganz Catheter Present"),
)


class Competition(base.Competition):
    kaggle_slug = "ranzcr-clip-catheter-line-classification"
    task = Multilabel(FINDINGS, id_column="StudyInstanceUID")
    metric = MEAN_COLUMN_AUC

    def load_train(self, raw):
        table = raw.read_csv("train.csv", ["StudyInstanceUID", "PatientID", *FINDINGS])
        labels = [[name for name in FINDINGS if row[name] == "1"] for _, row in table.iterrows()]
        table = table[["StudyInstanceUID", "PatientID"]].set_axis(["image_id", "group"], axis=1)
        return pair_labels(table.assign(labels=labels), raw.images("train"), "train.csv", "train")

    def load_test(self, raw):
        return raw.images("test")

    def make_sample(self, raw, seed):
        return write_sample(raw, seed)


CONFIGS = {
    "sample": Config(
        folds=FoldConfig(scheme="group", count=4, use=1),
        augment=AugmentConfig(horizontal_flip=False, crop="none"),
        train=TrainConfig(epochs=4, batch_size=32, lr=0.2, workers=0),
        predict=PredictConfig(flip=False),
    )
}
