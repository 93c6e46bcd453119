"""cassava-leaf-disease-classification: numbered diseases, named in a JSON file that nothing needs."""

from pipeline.competition import base
from pipeline.frame.pairing import pair_labels
from pipeline.metrics.usual import ACCURACY
from pipeline.tasks.classification.config import AugmentConfig, Config, FoldConfig, PredictConfig, TrainConfig
from pipeline.tasks.classification.task import Classification
from tests.gallery.cassava.generator import write_sample


class Competition(base.Competition):
    kaggle_slug = "cassava-leaf-disease-classification"
    task = Classification()
    metric = ACCURACY

    def load_train(self, raw):
        labels = raw.read_csv("train.csv", ["image_id", "label"])
        return pair_labels(labels, _images(raw, "train_images"), "train.csv", "train_images")

    def load_test(self, raw):
        return _images(raw, "test_images")

    def make_sample(self, raw, seed):
        return write_sample(raw, seed)


def _images(raw, folder):
    return raw.images(folder).assign(image_id=lambda files: files["image_id"] + ".jpg")


CONFIGS = {
    "sample": Config(
        folds=FoldConfig(scheme="holdout", valid_ratio=0.2),
        augment=AugmentConfig(horizontal_flip=False),
        train=TrainConfig(epochs=2, batch_size=32, workers=0),
        predict=PredictConfig(flip=False),
    )
}
