"""rsna-2022-cervical-spine-fracture-detection: the slices of a study are one row, its eight answers eight."""

import pandas as pd

from pipeline.base.errors import UserError
from pipeline.competition import base
from pipeline.frame.bags import bags_of
from pipeline.frame.label_rows import LabelRows
from pipeline.metrics.usual import weighted_log_loss
from pipeline.readers.bag import Bag
from pipeline.readers.dicom import Dicom
from pipeline.tasks.multilabel.config import AugmentConfig, Config, FoldConfig, PredictConfig, TrainConfig
from pipeline.tasks.multilabel.task import Multilabel
from tests.gallery.rsna_cervical_spine.generator import write_sample

BONES = tuple(f"C{number}" for number in range(1, 8))
OVERALL = "patient_overall"


def studies(raw, split):
    files = sorted(raw.find(f"{split}_images").glob("*/*.dcm"))
    if not files:
        raise UserError(f"{raw.find(f'{split}_images')} has no slices: check that the raw files are complete")
    names = [f"{file.parent.name}/{int(file.stem):05d}" for file in files]
    slices = pd.DataFrame({"image_id": names, "path": map(str, files)})
    return bags_of(slices.assign(study=[file.parent.name for file in files]), by="study")


class Competition(base.Competition):
    kaggle_slug = "rsna-2022-cervical-spine-fracture-detection"
    task = Multilabel((*BONES, OVERALL))
    metric = weighted_log_loss(positive=[2] * 7 + [14], negative=[1] * 7 + [7])
    reader = Bag(each=Dicom(), most=8, size=(32, 32))

    def load_train(self, raw):
        names = [OVERALL, *BONES]
        table = raw.read_csv("train.csv", ["StudyInstanceUID", *names])
        labels = [[name for name in names if row[name] == "1"] for row in table.to_dict("records")]
        frame = pd.DataFrame({"image_id": table["StudyInstanceUID"], "labels": labels})
        return studies(raw, "train").merge(frame, on="image_id", validate="one_to_one")

    def load_test(self, raw):
        return studies(raw, "test")

    def submission_format(self, classes):
        return LabelRows(labels=classes, id_column="row_id", value_column="fractured")

    def to_submission(self, predictions, test, classes):
        return self.submission_format(classes).rows(predictions)

    def make_sample(self, raw, seed):
        return write_sample(raw, seed)


CONFIGS = {
    "sample": Config(
        folds=FoldConfig(scheme="holdout", valid_ratio=0.2),
        augment=AugmentConfig(horizontal_flip=False),
        train=TrainConfig(epochs=6, batch_size=16, workers=0),
        predict=PredictConfig(flip=False),
    )
}
