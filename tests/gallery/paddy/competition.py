"""paddy-disease-classification: a folder for each disease; variety and age stand in the table."""

from pipeline.competition import base
from pipeline.frame.class_folders import labelled_by_folder
from pipeline.metrics.usual import ACCURACY
from pipeline.tasks.classification.config import AugmentConfig, Config, FoldConfig, PredictConfig, TrainConfig
from pipeline.tasks.classification.task import Classification
from tests.gallery.paddy.generator import write_sample


class Competition(base.Competition):
    kaggle_slug = "paddy-disease-classification"
    task = Classification()
    metric = ACCURACY

    def load_train(self, raw):
        names = sorted(raw.read_csv("train.csv", ["image_id", "label"])["label"].unique())
        return labelled_by_folder(raw, "train_images", names)

    def load_test(self, raw):
        return raw.images("test_images").assign(image_id=lambda files: files["image_id"] + ".jpg")

    def make_sample(self, raw, seed):
        return write_sample(raw, seed)


CONFIGS = {
    "sample": Config(
        folds=FoldConfig(scheme="holdout", valid_ratio=0.2),
        augment=AugmentConfig(horizontal_flip=False),
        train=TrainConfig(epochs=2, batch_size=32, workers=0),
        predict=PredictConfig(flip=False),
    )
}
