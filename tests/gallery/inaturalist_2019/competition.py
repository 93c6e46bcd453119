"""inaturalist-2019-fgvc6: JSON for train, val and test, whose image ids are numbers; nested folders."""

import json

import pandas as pd

from pipeline.competition import base
from pipeline.metrics.usual import top_k_error
from pipeline.tasks.classification.config import AugmentConfig, Config, FoldConfig, PredictConfig, TrainConfig
from pipeline.tasks.classification.task import Classification
from tests.gallery.inaturalist_2019.generator import write_sample


class Competition(base.Competition):
    kaggle_slug = "inaturalist-2019-fgvc6"
    task = Classification("id", "predicted")
    metric = top_k_error(1)

    def load_train(self, raw):
        parts = []
        for name in ("train2019.json", "val2019.json"):
            about, images = _images(raw, name)
            labels = pd.DataFrame(about["annotations"]).astype("str").set_index("image_id")["category_id"]
            parts.append(images.assign(label=images["image_id"].map(labels)))
        return pd.concat(parts, ignore_index=True)

    def load_test(self, raw):
        return _images(raw, "test2019.json")[1]

    def load_sample_submission(self, raw):
        return raw.read_csv("kaggle_sample_submission.csv", ["id", "predicted"])

    def make_sample(self, raw, seed):
        return write_sample(raw, seed)


def _images(raw, name):
    about = json.loads(raw.find(name).read_text())
    images = pd.DataFrame(about["images"])
    top = images["file_name"].str.partition("/")[0].iloc[0]
    paths = f"{raw.find(top).parent}/" + images["file_name"]
    return about, pd.DataFrame({"image_id": images["id"].astype("str"), "path": paths})


CONFIGS = {
    "sample": Config(
        folds=FoldConfig(scheme="holdout", valid_ratio=0.1),
        augment=AugmentConfig(horizontal_flip=False),
        train=TrainConfig(epochs=4, batch_size=32, lr=0.2, workers=0),
        predict=PredictConfig(flip=False),
    )
}
