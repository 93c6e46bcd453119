"""herbarium-2020-fgvc7: metadata.json in the folder of each split, images in numbered folders."""

import json

import pandas as pd

from pipeline.competition import base
from pipeline.metrics.usual import f_beta
from pipeline.tasks.classification.config import AugmentConfig, Config, FoldConfig, PredictConfig, TrainConfig
from pipeline.tasks.classification.task import Classification
from tests.gallery.herbarium_2020.generator import write_sample


class Competition(base.Competition):
    kaggle_slug = "herbarium-2020-fgvc7"
    task = Classification("Id", "Predicted")
    metric = f_beta(average="macro")

    def load_train(self, raw):
        about, images = _metadata(raw, "nybg2020/train")
        labels = pd.DataFrame(about["annotations"]).astype("str").set_index("image_id")["category_id"]
        return images.assign(label=images["image_id"].map(labels))

    def load_test(self, raw):
        return _metadata(raw, "nybg2020/test")[1]

    def make_sample(self, raw, seed):
        return write_sample(raw, seed)


def _metadata(raw, folder):
    file = raw.find(f"{folder}/metadata.json")
    about = json.loads(file.read_text())
    images = pd.DataFrame(about["images"])
    paths = f"{file.parent}/" + images["file_name"]
    return about, pd.DataFrame({"image_id": images["id"].astype("str"), "path": paths})


CONFIGS = {
    "sample": Config(
        folds=FoldConfig(scheme="holdout", valid_ratio=0.1),
        augment=AugmentConfig(horizontal_flip=False),
        train=TrainConfig(epochs=3, batch_size=32, lr=0.1, workers=0),
        predict=PredictConfig(flip=False),
    )
}
