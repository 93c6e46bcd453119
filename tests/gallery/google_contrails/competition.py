"""google-research-identify-contrails: three infrared bands of the middle frame as colours; `-` for none."""

import pandas as pd

from pipeline.competition import base
from pipeline.frame.mask_rows import MaskRows
from pipeline.frame.rle import RunLengths
from pipeline.metrics.usual import global_dice
from pipeline.readers.arrays import Arrays
from pipeline.readers.stored import Several
from pipeline.tasks.mask_truth import MaskFile
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
from tests.gallery.google_contrails.generator import write_sample

FRAME = 4  # of eight, the one that is labelled


def records(raw, split):
    folders = sorted(path for path in raw.find(split).iterdir() if path.is_dir())
    bands = {
        name: [str(path / f"band_{band}.npy") for path in folders]
        for name, band in (("path", 11), ("red", 14), ("difference", 15))
    }
    masks = [str(path / "human_pixel_masks.npy") for path in folders]
    return pd.DataFrame({"image_id": [path.name for path in folders], "mask": masks, **bands})


class Competition(base.Competition):
    kaggle_slug = "google-research-identify-contrails-reduce-global-warming"
    task = OverlappingSegmentation(
        ["contrail"],
        MaskFile(),
        MaskRows(
            id_column="record_id",
            rle_column="encoded_pixels",
            key="{image}",
            runs=RunLengths(empty="-"),
        ),
    )
    metric = global_dice(background=True)
    decision = MaskRules(least_area=False)
    reader = Several(paths=("path", "red", "difference"), each=Arrays(axes="hwc", take=(FRAME,)))

    def load_train(self, raw):
        return pd.concat([records(raw, "train"), records(raw, "validation")], ignore_index=True)

    def load_test(self, raw):
        return records(raw, "test").drop(columns="mask")

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
