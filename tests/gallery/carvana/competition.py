"""carvana-image-masking-challenge: a GIF with the mask of each car; run lengths row by row."""

from pipeline.competition import base
from pipeline.frame.mask_rows import MaskRows
from pipeline.frame.pairing import pair_labels
from pipeline.frame.rle import RunLengths
from pipeline.metrics.usual import mean_dice
from pipeline.tasks.mask_truth import MaskFile
from pipeline.tasks.overlapping_segmentation.config import (
    AugmentConfig,
    Config,
    FoldConfig,
    ModelConfig,
    PredictConfig,
    TrainConfig,
)
from pipeline.tasks.overlapping_segmentation.task import OverlappingSegmentation
from tests.gallery.carvana.generator import write_sample


class Competition(base.Competition):
    kaggle_slug = "carvana-image-masking-challenge"
    task = OverlappingSegmentation(
        ["car"],
        MaskFile(page=0),
        MaskRows(id_column="img", rle_column="rle_mask", key="{image}.jpg", runs=RunLengths(order="rows")),
    )
    metric = mean_dice(background=True)

    def load_train(self, raw):
        masks = raw.images("train_masks", [".gif"]).rename(columns={"path": "mask"})
        masks["image_id"] = masks["image_id"].str.removesuffix("_mask")
        frame = pair_labels(masks, raw.images("train"), "train_masks", "train")
        return frame.assign(group=frame["image_id"].str.split("_").str[0])  # sixteen views of each car

    def load_test(self, raw):
        return raw.images("test")

    def make_sample(self, raw, seed):
        return write_sample(raw, seed)


CONFIGS = {
    "sample": Config(
        folds=FoldConfig(scheme="group", count=4, use=1),
        model=ModelConfig(name="test_resnet", decoder="fpn", image_size=64),
        augment=AugmentConfig(min_scale=0.9, max_scale=1.1),
        train=TrainConfig(epochs=3, passes=3, batch_size=8, optimizer="adamw", lr=5e-3, workers=0),
        predict=PredictConfig(flip=False),
    )
}
