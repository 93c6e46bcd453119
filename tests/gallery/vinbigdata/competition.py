"""vinbigdata-chest-xray-abnormalities-detection: DICOM, boxes by three raters, `class score x1 y1 x2 y2`."""

import pandas as pd

from pipeline.competition import base
from pipeline.frame.box_cells import BoxCells
from pipeline.frame.box_tables import boxes_of, pair_boxes
from pipeline.frame.submission import SubmissionFormat
from pipeline.metrics.metric import Metric
from pipeline.metrics.voc_ap import voc_ap
from pipeline.readers.dicom import Dicom
from pipeline.tasks.detection.config import Config, FoldConfig, ModelConfig, PredictConfig, TrainConfig
from pipeline.tasks.detection.task import Detection
from tests.gallery.vinbigdata.generator import write_sample

CORNERS, NONE = ["x_min", "y_min", "x_max", "y_max"], "14"
CELLS = BoxCells(form="{label} {score:.4f} {x} {y} {x2} {y2}", whole=True, none=f"{NONE} 1 0 0 1 1")


def map_40(truth, predictions, classes):
    """No finding is a class, with a box of one pixel."""
    return voc_ap(_with_none(truth), _with_none(predictions), [*classes, NONE], iou=0.4)["mAP"]


def _with_none(frame):
    cells = {"boxes": [0.0, 0.0, 1.0, 1.0], "labels": NONE, "scores": 1.0, "crowd": 0}
    there = {name: value for name, value in cells.items() if name in frame}
    filled = {name: [list(cell) or [there[name]] for cell in frame[name]] for name in there}
    return frame.assign(**filled)


class Competition(base.Competition):
    kaggle_slug = "vinbigdata-chest-xray-abnormalities-detection"
    task = Detection([str(kind) for kind in range(14)])
    metric = Metric(name="map_40", function=map_40, needs="boxes")
    reader = Dicom()

    def load_train(self, raw):
        table = raw.read_csv("train.csv", ["image_id", "class_id", "rad_id"], optional=CORNERS)
        columns = {"image": "image_id", "box": CORNERS, "label": "class_id", "rater": "rad_id"}
        boxes = boxes_of(table, "train.csv", form="xyxy", **columns)
        return pair_boxes(boxes, raw.images("train", [".dicom"]), "train.csv", "train")

    def load_test(self, raw):
        return raw.images("test", [".dicom"])

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
        train=TrainConfig(epochs=3, passes=2, batch_size=8, optimizer="adamw", lr=3e-3, workers=0),
        predict=PredictConfig(flip=False, min_score=0.2),
    )
}
