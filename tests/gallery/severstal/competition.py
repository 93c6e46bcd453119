"""severstal-steel-defect-detection: four kinds of defects that do not overlap; a row for each of them."""

from pipeline.competition import base
from pipeline.frame.mask_rows import MaskRows
from pipeline.frame.mask_tables import pair_masks, run_lengths_of
from pipeline.metrics.usual import mean_dice
from pipeline.tasks.overlapping_segmentation.config import (
    AugmentConfig,
    Config,
    FoldConfig,
    ModelConfig,
    PredictConfig,
    TrainConfig,
)
from pipeline.tasks.overlapping_segmentation.decide import MaskRules
from pipeline.tasks.overlapping_segmentation.task import OverlappingSegmentation
from tests.gallery.severstal.generator import write_sample

KINDS = ("1", "2", "3", "4")


class Competition(base.Competition):
    kaggle_slug = "severstal-steel-defect-detection"
    task = OverlappingSegmentation(
        KINDS,
        rows=MaskRows(id_column="ImageId_ClassId", rle_column="EncodedPixels", key="{image}.jpg_{label}"),
    )
    metric = mean_dice(background=True)
    decision = MaskRules(exclusive=True)

    def load_train(self, raw):
        table = raw.read_csv("train.csv", ["ImageId", "ClassId", "EncodedPixels"])
        columns = {"image": "ImageId", "label": "ClassId", "rle": "EncodedPixels", "suffix": ".jpg"}
        masks = run_lengths_of(table, KINDS, "train.csv", **columns)
        return pair_masks(masks, raw.images("train_images"), "train.csv", "train_images", absent="empty")

    def load_test(self, raw):
        return raw.images("test_images")

    def make_sample(self, raw, seed):
        return write_sample(raw, seed)


CONFIGS = {
    "sample": Config(
        folds=FoldConfig(scheme="holdout", valid_ratio=0.2),
        model=ModelConfig(name="test_resnet", decoder="fpn", image_size=64),
        augment=AugmentConfig(min_scale=0.9, max_scale=1.1),
        train=TrainConfig(epochs=3, passes=3, batch_size=8, optimizer="adamw", lr=5e-3, workers=0),
        predict=PredictConfig(flip=False),
    )
}
