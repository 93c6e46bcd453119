"""global-wheat-detection: a row for each head of wheat, `[x, y, w, h]` in a cell; some images have none."""

import pandas as pd

from pipeline.competition import base
from pipeline.frame.box_cells import BoxCells
from pipeline.frame.box_tables import boxes_of, pair_boxes
from pipeline.frame.submission import SubmissionFormat
from pipeline.metrics.metric import Metric
from pipeline.metrics.objects import mean_precision_over_thresholds
from pipeline.metrics.overlaps import overlaps
from pipeline.tasks.detection.config import Config, FoldConfig, ModelConfig, PredictConfig, TrainConfig
from pipeline.tasks.detection.task import Detection
from tests.gallery.global_wheat.generator import write_sample

CELLS = BoxCells(form="{score:.4f} {x} {y} {w} {h}", whole=True)


def wheat_precision(truth, predictions, classes):
    return mean_precision_over_thresholds(overlaps(truth, predictions))


class Competition(base.Competition):
    kaggle_slug = "global-wheat-detection"
    task = Detection(["wheat"])
    metric = Metric(name="wheat_precision", function=wheat_precision, needs="boxes")

    def load_train(self, raw):
        table = raw.read_csv("train.csv", ["image_id", "bbox"])
        boxes = boxes_of(table, "train.csv", image="image_id", box="bbox", name="wheat")
        return pair_boxes(boxes, raw.images("train"), "train.csv", "train", absent="empty")

    def load_test(self, raw):
        return raw.images("test")

    def submission_format(self, classes):
        return SubmissionFormat("image_id", {"PredictionString": CELLS})

    def to_submission(self, predictions, test, classes):
        cells = CELLS.cells(predictions)
        return pd.DataFrame({"image_id": predictions["image_id"], "PredictionString": cells})

    def make_sample(self, raw, seed):
        return write_sample(raw, seed)


CONFIGS = {
    "sample": Config(
        folds=FoldConfig(scheme="holdout", valid_ratio=0.2),
        model=ModelConfig(name="test_resnet", detector="fcos", image_size=64),
        train=TrainConfig(epochs=2, passes=2, batch_size=8, optimizer="adamw", lr=3e-3, workers=0),
        predict=PredictConfig(flip=False, min_score=0.3),
    )
}
