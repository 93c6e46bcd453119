"""iwildcam-2020-fgvc7: annotations in COCO's style without boxes; places are groups."""

import json

import pandas as pd

from pipeline.competition import base
from pipeline.frame.pairing import pair_labels
from pipeline.metrics.usual import ACCURACY
from pipeline.tasks.classification.config import AugmentConfig, Config, FoldConfig, PredictConfig, TrainConfig
from pipeline.tasks.classification.task import Classification
from tests.gallery.iwildcam_2020.generator import write_sample


class Competition(base.Competition):
    kaggle_slug = "iwildcam-2020-fgvc7"
    task = Classification("Id", "Category")
    metric = ACCURACY

    def load_train(self, raw):
        about = json.loads(raw.find("iwildcam2020_train_annotations.json").read_text())
        labels = pd.DataFrame(about["annotations"]).set_index("image_id")["category_id"].astype("str")
        images = pd.DataFrame(about["images"])
        images = images.assign(image_id=images["id"], group=images["location"].astype("str"))
        images["label"] = images["image_id"].map(labels)
        columns = ["image_id", "label", "group"]
        return pair_labels(
            images[columns], raw.images("train"), "iwildcam2020_train_annotations.json", "train"
        )

    def load_test(self, raw):
        return raw.images("test")

    def make_sample(self, raw, seed):
        return write_sample(raw, seed)


CONFIGS = {
    "sample": Config(
        folds=FoldConfig(scheme="group", count=4, use=1),
        augment=AugmentConfig(horizontal_flip=False),
        train=TrainConfig(epochs=3, batch_size=32, workers=0),
        predict=PredictConfig(flip=False),
    )
}
