"""plant-seedlings-classification: a folder for each of twelve plants, PNG; graded by micro F1."""

from pipeline.competition import base
from pipeline.frame.class_folders import labelled_by_folder
from pipeline.metrics.usual import f_beta
from pipeline.tasks.classification.config import AugmentConfig, Config, FoldConfig, PredictConfig, TrainConfig
from pipeline.tasks.classification.task import Classification
from tests.gallery.plant_seedlings.generator import write_sample

PLANTS = (
    *(
        "Black-grass",
        "Charlock",
        "Cleavers",
        "Common Chickweed",
        "Common wheat",
        "Fat Hen",
        "Loose Silky-bent",
    ),
    *("Maize", "Scentless Mayweed", "Shepherds Purse", "Small-flowered Cranesbill", "Sugar beet"),
)


class Competition(base.Competition):
    kaggle_slug = "plant-seedlings-classification"
    task = Classification("file", "species")
    metric = f_beta(average="micro")

    def load_train(self, raw):
        return labelled_by_folder(raw, "train", PLANTS)

    def load_test(self, raw):
        return raw.images("test").assign(image_id=lambda files: files["image_id"] + ".png")

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
