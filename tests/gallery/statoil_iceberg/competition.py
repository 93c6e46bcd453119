"""statoil-iceberg-classifier-challenge: two bands of radar as lists in one JSON file, and an angle."""

import pandas as pd

from pipeline.competition import base
from pipeline.frame.submission import Probability, SubmissionFormat
from pipeline.inputs.table import Table
from pipeline.metrics.usual import LOG_LOSS
from pipeline.readers.records import JsonBands, scan_json
from pipeline.tasks.classification.config import (
    AugmentConfig,
    Config,
    FoldConfig,
    ModelConfig,
    PredictConfig,
    TrainConfig,
)
from pipeline.tasks.classification.task import Classification
from tests.gallery.statoil_iceberg.generator import write_sample


class Competition(base.Competition):
    kaggle_slug = "statoil-iceberg-classifier-challenge"
    task = Classification()
    metric = LOG_LOSS
    table = Table(numbers=("inc_angle",))
    reader = JsonBands(("band_1", "band_2"), height=75, width=75)

    def load_train(self, raw):
        frame = scan_json(raw.find("train.json"), ["id", "is_iceberg", "inc_angle"])
        return frame.rename(columns={"id": "image_id", "is_iceberg": "label"}).astype({"label": "str"})

    def load_test(self, raw):
        frame = scan_json(raw.find("test.json"), ["id", "inc_angle"])
        return frame.rename(columns={"id": "image_id"})

    def submission_format(self, classes):
        return SubmissionFormat("id", {"is_iceberg": Probability()})

    def to_submission(self, predictions, test, classes):
        return pd.DataFrame({"id": predictions["image_id"], "is_iceberg": predictions["1"].clip(0, 1)})

    def make_sample(self, raw, seed):
        return write_sample(raw, seed)


CONFIGS = {
    "sample": Config(
        folds=FoldConfig(scheme="holdout", valid_ratio=0.2),
        model=ModelConfig(image_size=32),
        augment=AugmentConfig(vertical_flip=True),
        train=TrainConfig(epochs=6, batch_size=32, workers=0),
        predict=PredictConfig(flip=False),
    )
}
