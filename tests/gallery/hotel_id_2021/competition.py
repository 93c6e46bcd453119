"""hotel-id-2021-fgvc8: images in a folder for each chain; five hotels for each image, the likeliest first."""

import pandas as pd

from pipeline.competition import base
from pipeline.frame.submission import SubmissionFormat, Words
from pipeline.frame.values import top_names
from pipeline.metrics.usual import map_at
from pipeline.tasks.classification.config import AugmentConfig, Config, FoldConfig, PredictConfig, TrainConfig
from pipeline.tasks.classification.task import Classification
from tests.gallery.hotel_id_2021.generator import write_sample


class Competition(base.Competition):
    kaggle_slug = "hotel-id-2021-fgvc8"
    task = Classification()
    metric = map_at(5)

    def load_train(self, raw):
        table = raw.read_csv("train.csv", ["image", "chain", "hotel_id"])
        paths = f"{raw.find('train_images')}/" + table["chain"] + "/" + table["image"]
        return pd.DataFrame({"image_id": table["image"], "path": paths, "label": table["hotel_id"]})

    def load_test(self, raw):
        return raw.images("test_images").assign(image_id=lambda files: files["image_id"] + ".jpg")

    def submission_format(self, classes):
        return SubmissionFormat("image", {"hotel_id": Words(classes, least=5, most=5)})

    def to_submission(self, predictions, test, classes):
        cells = [" ".join(names) for names in top_names(predictions, classes, 5)]
        return pd.DataFrame({"image": predictions["image_id"], "hotel_id": cells})

    def make_sample(self, raw, seed):
        return write_sample(raw, seed)


CONFIGS = {
    "sample": Config(
        folds=FoldConfig(scheme="holdout", valid_ratio=0.1),
        augment=AugmentConfig(horizontal_flip=False),
        train=TrainConfig(epochs=4, batch_size=32, lr=0.2, workers=0),
        predict=PredictConfig(flip=False),
    )
}
