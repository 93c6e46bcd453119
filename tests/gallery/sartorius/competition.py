"""sartorius-cell-instance-segmentation: a row of run lengths for each cell, row by row, none overlapping."""

from pipeline.competition import base
from pipeline.frame.box_tables import pair_boxes
from pipeline.frame.instance_rows import InstanceRows
from pipeline.frame.instance_tables import instances_of
from pipeline.frame.rle import RunLengths
from pipeline.metrics.metric import Metric
from pipeline.metrics.objects import mean_precision_over_thresholds
from pipeline.metrics.overlaps import overlaps
from pipeline.metrics.thresholds import FROM_50_TO_95
from pipeline.tasks.detection.config import Config, FoldConfig, ModelConfig, PredictConfig, TrainConfig
from pipeline.tasks.detection.decide import BoxRules
from pipeline.tasks.detection.task import Detection
from tests.gallery.sartorius.generator import KINDS, write_sample

RUNS = RunLengths(order="rows")
ROWS = InstanceRows(id_column="id", rle_column="predicted", runs=RUNS, apart=True)


def mean_mask_ap(truth, predictions, classes):
    ious = overlaps(truth, predictions, "segm")
    return mean_precision_over_thresholds(ious, thresholds=FROM_50_TO_95)


class Competition(base.Competition):
    kaggle_slug = "sartorius-cell-instance-segmentation"
    task = Detection(KINDS)
    metric = Metric(name="mean_mask_ap", function=mean_mask_ap, needs="boxes")
    decision = BoxRules(per_class=True, apart=True)

    def load_train(self, raw):
        table = raw.read_csv("train.csv", ["id", "annotation", "width", "height", "cell_type"])
        columns = {"image": "id", "rle": "annotation", "label": "cell_type", "size": ("height", "width")}
        masks = instances_of(table, "train.csv", runs=RUNS, **columns)
        return pair_boxes(masks, raw.images("train"), "train.csv", "train")

    def load_test(self, raw):
        return raw.images("test")

    def submission_format(self, classes):
        return ROWS

    def to_submission(self, predictions, test, classes):
        return ROWS.rows(predictions)

    def make_sample(self, raw, seed):
        return write_sample(raw, seed)


CONFIGS = {
    "sample": Config(
        folds=FoldConfig(scheme="holdout", valid_ratio=0.25),
        model=ModelConfig(name="test_resnet", detector="faster_rcnn", mask_head=True, image_size=64),
        train=TrainConfig(epochs=4, passes=2, batch_size=8, optimizer="adamw", lr=3e-3, workers=0),
        predict=PredictConfig(flip=False),
    )
}
