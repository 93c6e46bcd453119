"""state-farm-distracted-driver-detection: a folder for each of ten deeds; no driver is in two folds."""

from pipeline.competition import base
from pipeline.frame.class_folders import labelled_by_folder
from pipeline.frame.pairing import pair_labels
from pipeline.frame.submission import Probability, SubmissionFormat
from pipeline.metrics.usual import LOG_LOSS
from pipeline.tasks.classification.config import AugmentConfig, Config, FoldConfig, PredictConfig, TrainConfig
from pipeline.tasks.classification.task import Classification
from tests.gallery.state_farm.generator import write_sample

DEEDS = tuple(f"c{number}" for number in range(10))


class Competition(base.Competition):
    kaggle_slug = "state-farm-distracted-driver-detection"
    task = Classification()
    metric = LOG_LOSS

    def load_train(self, raw):
        table = raw.read_csv("driver_imgs_list.csv", ["subject", "classname", "img"])
        table["image_id"] = table["classname"] + "/" + table["img"].str.removesuffix(".jpg")
        drivers = table.rename(columns={"subject": "group"})[["image_id", "group"]]
        files = labelled_by_folder(raw, "imgs/train", DEEDS)
        return pair_labels(drivers, files, "driver_imgs_list.csv", "imgs/train")

    def load_test(self, raw):
        return raw.images("imgs/test").assign(image_id=lambda files: files["image_id"] + ".jpg")

    def submission_format(self, classes):
        return SubmissionFormat("img", {name: Probability() for name in classes})

    def to_submission(self, predictions, test, classes):
        rows = predictions[["image_id", *classes]].rename(columns={"image_id": "img"})
        return rows.assign(**{name: rows[name].clip(0, 1) for name in classes})

    def make_sample(self, raw, seed):
        return write_sample(raw, seed)


CONFIGS = {
    "sample": Config(
        folds=FoldConfig(scheme="stratified_group", count=4, use=1),
        augment=AugmentConfig(horizontal_flip=False),
        train=TrainConfig(epochs=3, batch_size=32, workers=0),
        predict=PredictConfig(flip=False),
    )
}
