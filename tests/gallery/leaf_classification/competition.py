"""leaf-classification: binary pictures of leaves, train and test in one folder, and 192 numbers of each."""

from pipeline.competition import base
from pipeline.frame.pairing import pair_labels
from pipeline.frame.submission import Probability, SubmissionFormat
from pipeline.inputs.table import Table
from pipeline.metrics.usual import LOG_LOSS
from pipeline.tasks.classification.config import AugmentConfig, Config, FoldConfig, PredictConfig, TrainConfig
from pipeline.tasks.classification.task import Classification
from tests.gallery.leaf_classification.generator import write_sample

NUMBERS = tuple(f"{name}{place}" for name in ("margin", "shape", "texture") for place in range(1, 65))


class Competition(base.Competition):
    kaggle_slug = "leaf-classification"
    task = Classification()
    metric = LOG_LOSS
    table = Table(numbers=NUMBERS)

    def load_train(self, raw):
        return _listed(raw, "train.csv", {"id": "image_id", "species": "label"})

    def load_test(self, raw):
        return _listed(raw, "test.csv", {"id": "image_id"})

    def submission_format(self, classes):
        return SubmissionFormat("id", {name: Probability() for name in classes})

    def to_submission(self, predictions, test, classes):
        rows = predictions[["image_id", *classes]].rename(columns={"image_id": "id"})
        return rows.assign(**{name: rows[name].clip(0, 1) for name in classes})

    def make_sample(self, raw, seed):
        return write_sample(raw, seed)


def _listed(raw, name, names):
    table = raw.read_csv(name, [*names, *NUMBERS])[[*names, *NUMBERS]].rename(columns=names)
    files = raw.images("images")
    return pair_labels(table, files[files["image_id"].isin(table["image_id"])], name, "images")


CONFIGS = {
    "sample": Config(
        folds=FoldConfig(scheme="holdout", valid_ratio=0.1),
        augment=AugmentConfig(horizontal_flip=False),
        train=TrainConfig(epochs=4, batch_size=32, lr=0.2, workers=0),
        predict=PredictConfig(flip=False),
    )
}
