"""understanding-clouds-organization: four overlapping kinds, `image_kind` rows, masks of a quarter's size."""

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
from tests.gallery.clouds.generator import KINDS, QUARTER, write_sample

KEY = "{image}.jpg_{label}"


class Competition(base.Competition):
    kaggle_slug = "understanding-clouds-organization"
    task = OverlappingSegmentation(
        KINDS,
        rows=MaskRows(id_column="Image_Label", rle_column="EncodedPixels", key=KEY, size=QUARTER),
    )
    metric = mean_dice(background=True)
    decision = MaskRules()

    def load_train(self, raw):
        table = raw.read_csv("train.csv", ["Image_Label"], optional=["EncodedPixels"])
        columns = {"image": "Image_Label", "rle": "EncodedPixels", "split": "_", "suffix": ".jpg"}
        masks = run_lengths_of(table, KINDS, "train.csv", **columns)
        return pair_masks(masks, raw.images("train_images"), "train.csv", "train_images")

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
