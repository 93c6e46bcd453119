"""alaska2-image-steganalysis: each cover lies in four folders, as it is and with a message hidden in it."""

import pandas as pd

from pipeline.competition import base
from pipeline.frame.submission import Number, SubmissionFormat
from pipeline.metrics.usual import WEIGHTED_AUC
from pipeline.tasks.classification.config import AugmentConfig, Config, FoldConfig, PredictConfig, TrainConfig
from pipeline.tasks.classification.task import Classification
from tests.gallery.alaska2.generator import write_sample

FOLDERS = ("Cover", "JMiPOD", "JUNIWARD", "UERD")


class Competition(base.Competition):
    kaggle_slug = "alaska2-image-steganalysis"
    task = Classification()
    metric = WEIGHTED_AUC

    def load_train(self, raw):
        parts = []
        for folder in FOLDERS:
            files = raw.images(folder)
            label = "0" if folder == "Cover" else "1"
            parts.append(
                files.assign(group=files["image_id"], image_id=f"{folder}/" + files["image_id"], label=label)
            )
        return pd.concat(parts, ignore_index=True)

    def load_test(self, raw):
        return raw.images("Test").assign(image_id=lambda files: files["image_id"] + ".jpg")

    def submission_format(self, classes):
        return SubmissionFormat("Id", {"Label": Number()})

    def to_submission(self, predictions, test, classes):
        return pd.DataFrame({"Id": predictions["image_id"], "Label": predictions["1"]})

    def make_sample(self, raw, seed):
        return write_sample(raw, seed)


CONFIGS = {
    "sample": Config(
        folds=FoldConfig(scheme="stratified_group", count=5, use=1),
        augment=AugmentConfig(horizontal_flip=False),
        train=TrainConfig(epochs=2, batch_size=32, oversample=1.0, workers=0),
        predict=PredictConfig(flip=False),
    )
}
