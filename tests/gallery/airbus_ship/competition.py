"""airbus-ship-detection: a row of run lengths for each ship, a blank one for none; F2 of ships found."""

from pipeline.competition import base
from pipeline.frame.box_tables import pair_boxes
from pipeline.frame.instance_rows import InstanceRows
from pipeline.frame.instance_tables import instances_of
from pipeline.metrics.metric import Metric
from pipeline.metrics.objects import mean_f_over_thresholds
from pipeline.metrics.overlaps import overlaps
from pipeline.tasks.detection.config import Config, FoldConfig, ModelConfig, PredictConfig, TrainConfig
from pipeline.tasks.detection.decide import BoxRules
from pipeline.tasks.detection.task import Detection
from tests.gallery.airbus_ship.generator import SIDE, write_sample

TABLE = "train_ship_segmentations_v2.csv"
ROWS = InstanceRows(id_column="ImageId", rle_column="EncodedPixels", suffix=".jpg", apart=True)


def mean_f2(truth, predictions, classes):
    return mean_f_over_thresholds(overlaps(truth, predictions, "segm"))


class Competition(base.Competition):
    kaggle_slug = "airbus-ship-detection"
    task = Detection(["ship"])
    metric = Metric(name="mean_f2", function=mean_f2, needs="boxes")
    decision = BoxRules(apart=True)

    def load_train(self, raw):
        table = raw.read_csv(TABLE, ["ImageId"], optional=["EncodedPixels"])
        columns = {"image": "ImageId", "rle": "EncodedPixels", "suffix": ".jpg"}
        masks = instances_of(table, TABLE, size=(SIDE, SIDE), name="ship", **columns)
        return pair_boxes(masks, raw.images("train_v2"), TABLE, "train_v2")

    def load_test(self, raw):
        return raw.images("test_v2")

    def load_sample_submission(self, raw):
        return raw.read_csv("sample_submission_v2.csv", ["ImageId"])

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
