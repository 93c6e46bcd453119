"""denoising-dirty-documents: the clean page of a soiled one; a row for each pixel."""

from pipeline.competition import base
from pipeline.frame.pairing import pair_labels
from pipeline.metrics.usual import PIXEL_RMSE
from pipeline.tasks.image_to_image.config import Config, FoldConfig, ModelConfig, PredictConfig, TrainConfig
from pipeline.tasks.image_to_image.task import ImageToImage
from tests.gallery.denoising.generator import write_sample


class Competition(base.Competition):
    kaggle_slug = "denoising-dirty-documents"
    task = ImageToImage()
    metric = PIXEL_RMSE
    may_mirror = False

    def load_train(self, raw):
        targets = raw.images("train_cleaned").rename(columns={"path": "target"})
        return pair_labels(targets, raw.images("train"), "train_cleaned", "train")

    def load_test(self, raw):
        return raw.images("test")

    def load_sample_submission(self, raw):
        return raw.read_csv("sampleSubmission.csv", ["id"])

    def make_sample(self, raw, seed):
        return write_sample(raw, seed)


CONFIGS = {
    "sample": Config(
        folds=FoldConfig(scheme="holdout", valid_ratio=0.2),
        model=ModelConfig(name="test_resnet", decoder="fpn", image_size=48),
        train=TrainConfig(epochs=2, passes=4, batch_size=8, optimizer="adamw", lr=5e-3, workers=0),
        predict=PredictConfig(flip=False),
    )
}
