"""tensorflow-great-barrier-reef: frames of videos, numbered anew in each; F2 of all boxes."""

import pandas as pd

from pipeline.competition import base
from pipeline.frame.box_cells import BoxCells
from pipeline.frame.box_tables import boxes_of, pair_boxes
from pipeline.frame.submission import SubmissionFormat
from pipeline.metrics.metric import Metric
from pipeline.metrics.objects import pooled_f_over_thresholds
from pipeline.metrics.overlaps import overlaps
from pipeline.tasks.detection.config import Config, FoldConfig, ModelConfig, PredictConfig, TrainConfig
from pipeline.tasks.detection.decide import BoxRules
from pipeline.tasks.detection.task import Detection
from tests.gallery.great_barrier_reef.generator import write_sample

CELLS = BoxCells(form="{score:.4f} {x} {y} {w} {h}", whole=True)


def pooled_f2(truth, predictions, classes):
    return pooled_f_over_thresholds(overlaps(truth, predictions))


def frames(raw, table, split):
    folders = {video: raw.images(f"{split}_images/video_{video}") for video in table["video_id"].unique()}
    parts = [files.assign(image_id=f"{video}-" + files["image_id"]) for video, files in folders.items()]
    return pd.concat(parts, ignore_index=True)


class Competition(base.Competition):
    kaggle_slug = "tensorflow-great-barrier-reef"
    task = Detection(["starfish"])
    metric = Metric(name="pooled_f2", function=pooled_f2, needs="boxes")
    decision = BoxRules()

    def load_train(self, raw):
        table = raw.read_csv("train.csv", ["video_id", "sequence", "image_id", "annotations"])
        boxes = boxes_of(table, "train.csv", image="image_id", box="annotations", name="starfish")
        boxes["group"] = boxes["image_id"].map(table.set_index("image_id")["sequence"])
        return pair_boxes(boxes, frames(raw, table, "train"), "train.csv", "train_images")

    def load_test(self, raw):
        table = raw.read_csv("test.csv", ["video_id", "image_id"])
        rows = dict(zip(table["image_id"], map(str, table.index), strict=True))
        return frames(raw, table, "test").assign(image_id=lambda found: found["image_id"].map(rows))

    def load_sample_submission(self, raw):
        return raw.read_csv("example_sample_submission.csv", ["index"])

    def submission_format(self, classes):
        return SubmissionFormat("index", {"annotations": CELLS})

    def to_submission(self, predictions, test, classes):
        return pd.DataFrame({"index": predictions["image_id"], "annotations": CELLS.cells(predictions)})

    def make_sample(self, raw, seed):
        return write_sample(raw, seed)


CONFIGS = {
    "sample": Config(
        folds=FoldConfig(scheme="group", count=4, use=1),
        model=ModelConfig(name="test_resnet", detector="fcos", image_size=64),
        train=TrainConfig(epochs=2, passes=2, batch_size=8, optimizer="adamw", lr=3e-3, workers=0),
        predict=PredictConfig(flip=False),
    )
}
