"""kuzushiji-recognition: pages of characters; `U+306F X Y` for each, a point that must be in its box."""

import numpy as np
import pandas as pd

from pipeline.competition import base
from pipeline.frame.box_cells import BoxCells
from pipeline.frame.box_tables import boxes_of, pair_boxes
from pipeline.frame.boxes import box_array
from pipeline.frame.submission import SubmissionFormat
from pipeline.metrics.metric import Metric
from pipeline.metrics.points import point_f1, point_matches
from pipeline.tasks.detection.config import Config, FoldConfig, ModelConfig, PredictConfig, TrainConfig
from pipeline.tasks.detection.decide import BoxRules
from pipeline.tasks.detection.task import Detection
from tests.gallery.kuzushiji.generator import write_sample

CELLS = BoxCells(form="{label} {cx:.0f} {cy:.0f}")


def centre_f1(truth, predictions, classes):
    boxes = [box_array(cell) for cell in predictions["boxes"]]
    points = [np.rint((one[:, :2] + one[:, 2:]) / 2) for one in boxes]
    true = zip(map(box_array, truth["boxes"]), map(np.array, truth["labels"]), strict=True)
    found = zip(points, map(np.array, predictions["labels"]), strict=True)
    return point_f1([point_matches(*one, *other) for one, other in zip(found, true, strict=True)])


class Competition(base.Competition):
    kaggle_slug = "kuzushiji-recognition"
    task = Detection()
    metric = Metric(name="centre_f1", function=centre_f1, needs="boxes")
    decision = BoxRules(per_class=True)
    may_mirror = False

    def load_train(self, raw):
        table = raw.read_csv("train.csv", ["image_id"], optional=["labels"])
        words = table.assign(word=table["labels"].str.findall(r"U\+\w+(?: \d+){4}")).explode("word")
        words[["kind", "box"]] = words["word"].fillna(" ").str.split(" ", n=1, expand=True)
        boxes = boxes_of(words.reset_index(), "train.csv", image="image_id", box="box", label="kind")
        return pair_boxes(boxes, raw.images("train_images"), "train.csv", "train_images")

    def load_test(self, raw):
        return raw.images("test_images")

    def submission_format(self, classes):
        return SubmissionFormat("image_id", {"labels": CELLS})

    def to_submission(self, predictions, test, classes):
        return pd.DataFrame({"image_id": predictions["image_id"], "labels": CELLS.cells(predictions)})

    def make_sample(self, raw, seed):
        return write_sample(raw, seed)


CONFIGS = {
    "sample": Config(
        folds=FoldConfig(scheme="holdout", valid_ratio=0.25),
        model=ModelConfig(name="test_resnet", detector="fcos", image_size=64),
        train=TrainConfig(epochs=3, passes=2, batch_size=8, optimizer="adamw", lr=3e-3, workers=0),
        predict=PredictConfig(),
    )
}
