"""uw-madison-gi-tract-image-segmentation: 16-bit slices; three organs that may overlap, a row each."""

import pandas as pd

from pipeline.base.errors import UserError
from pipeline.competition import base
from pipeline.frame.mask_rows import MaskRows
from pipeline.frame.mask_tables import pair_masks, run_lengths_of
from pipeline.frame.rle import RunLengths
from pipeline.metrics.usual import mean_dice
from pipeline.readers.stored import Stored
from pipeline.tasks.mask_truth import RunLengthMasks
from pipeline.tasks.overlapping_segmentation.config import (
    AugmentConfig,
    Config,
    FoldConfig,
    ModelConfig,
    PredictConfig,
    TrainConfig,
)
from pipeline.tasks.overlapping_segmentation.task import OverlappingSegmentation
from tests.gallery.uw_madison.generator import ORGANS, write_sample

ROWS = RunLengths(order="rows")


def slices(raw, split):
    files = sorted(raw.find(split).glob("*/*/scans/slice_*.png"))
    if not files:
        raise UserError(f"{raw.find(split)} has no slices: check that the raw files are complete")
    names = [f"{file.parts[-3]}_{'_'.join(file.name.split('_')[:2])}" for file in files]
    return pd.DataFrame({"image_id": names, "path": map(str, files)})


class Competition(base.Competition):
    kaggle_slug = "uw-madison-gi-tract-image-segmentation"
    task = OverlappingSegmentation(
        ORGANS,
        RunLengthMasks(ROWS),
        MaskRows(rle_column="predicted", class_column="class", key="{image}", runs=ROWS),
    )
    metric = mean_dice(background=True)
    reader = Stored()

    def load_train(self, raw):
        table = raw.read_csv("train.csv", ["id", "class"], optional=["segmentation"])
        columns = {"image": "id", "label": "class", "rle": "segmentation", "runs": ROWS}
        frame = pair_masks(
            run_lengths_of(table, ORGANS, "train.csv", **columns), slices(raw, "train"), "train.csv", "train"
        )
        return frame.assign(group=frame["image_id"].str.split("_").str[0])

    def load_test(self, raw):
        return slices(raw, "test")

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
