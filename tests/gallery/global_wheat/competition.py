"""global-wheat-detection: a row for each head of wheat, `[x, y, w, h]` in a cell; some images have none."""

import pandas as pd
import torch
from torchvision.ops import box_iou

from pipeline.competition import base
from pipeline.frame.box_tables import boxes_of, pair_boxes
from pipeline.frame.boxes import box_array
from pipeline.frame.submission import SubmissionFormat
from pipeline.metrics.metric import Metric
from pipeline.metrics.objects import mean_precision_over_thresholds
from pipeline.tasks.detection.config import Config, FoldConfig, ModelConfig, PredictConfig, TrainConfig
from pipeline.tasks.detection.task import Detection
from tests.gallery.global_wheat.generator import write_sample

BOXES = r"((0|1|0\.\d+|1\.0+)( \d+){4}( |$))*"


class WheatBoxes:
    def wrong(self, values):
        return ~values.astype("str").str.fullmatch(BOXES).to_numpy(dtype=bool)

    def describe(self):
        return "empty or groups of five numbers: score x y w h"


def wheat_precision(truth, predictions, classes):
    pairs = zip(predictions["boxes"], truth["boxes"], strict=True)
    return mean_precision_over_thresholds(
        [box_iou(*(torch.from_numpy(box_array(cell)) for cell in pair)).numpy() for pair in pairs]
    )


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
        return SubmissionFormat("image_id", {"PredictionString": WheatBoxes()})

    def to_submission(self, predictions, test, classes):
        cells = map(_cell, predictions["scores"], predictions["boxes"])
        return pd.DataFrame({"image_id": predictions["image_id"], "PredictionString": list(cells)})

    def make_sample(self, raw, seed):
        return write_sample(raw, seed)


def _cell(scores, boxes):
    corners = box_array(boxes).round().astype(int)
    groups = zip(scores, corners[:, :2], corners[:, 2:] - corners[:, :2], strict=True)
    return " ".join(f"{score:.4f} {x} {y} {w} {h}" for score, (x, y), (w, h) in groups)


CONFIGS = {
    "sample": Config(
        folds=FoldConfig(scheme="holdout", valid_ratio=0.2),
        model=ModelConfig(name="test_resnet", detector="fcos", image_size=64),
        train=TrainConfig(epochs=2, passes=2, batch_size=8, optimizer="adamw", lr=3e-3, workers=0),
        predict=PredictConfig(flip=False, min_score=0.3),
    )
}
