"""tgs-salt-identification-challenge: masks of 0 and 255, or 0 and 65,535; one row an image, maybe empty."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from PIL import Image

from pipeline.competition import base
from pipeline.frame.pairing import pair_labels
from pipeline.frame.rle import decode, encode
from pipeline.frame.submission import SubmissionFormat
from pipeline.metrics.usual import mean_mask_precision
from pipeline.prediction.stored import load_map
from pipeline.tasks.segmentation.config import Config, FoldConfig, ModelConfig, PredictConfig, TrainConfig
from pipeline.tasks.segmentation.palette import VOC_COLORS
from pipeline.tasks.segmentation.task import Segmentation
from tests.gallery.tgs_salt.generator import write_sample

SIDE = 101


@dataclass(frozen=True)
class Rle:
    def wrong(self, values):
        return ~values.map(lambda cell: encode(decode(cell, SIDE, SIDE)) == cell).to_numpy(dtype=bool)

    def describe(self):
        return "empty or run lengths"


class Salt(Segmentation):
    def read(self, path, image_id):
        with Image.open(path) as mask:
            return (np.asarray(mask) > 0).astype("uint8")


class Competition(base.Competition):
    kaggle_slug = "tgs-salt-identification-challenge"
    task = Salt(["rock", "salt"], VOC_COLORS[:2])
    metric = mean_mask_precision(background=False)

    def load_train(self, raw):
        masks = raw.images("train/masks").rename(columns={"path": "mask"})
        return pair_labels(masks, raw.images("train/images"), "train/masks", "train/images")

    def load_test(self, raw):
        return raw.images("test/images")

    def submission_format(self, classes):
        return SubmissionFormat("id", {"rle_mask": Rle()})

    def to_submission(self, predictions, test, classes):
        cells = [encode(load_map(path).argmax(axis=0)) for path in predictions["map_file"]]
        return pd.DataFrame({"id": predictions["image_id"], "rle_mask": cells})

    def make_sample(self, raw, seed):
        return write_sample(raw, seed)


CONFIGS = {
    "sample": Config(
        folds=FoldConfig(scheme="holdout", valid_ratio=0.2),
        model=ModelConfig(name="test_resnet", decoder="fcn", image_size=96),
        train=TrainConfig(epochs=3, passes=2, batch_size=8, optimizer="adamw", lr=3e-3, workers=0),
        predict=PredictConfig(flip=False),
    )
}
