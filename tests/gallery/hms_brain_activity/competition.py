"""hms-harmful-brain-activity-classification: ten minutes of four spectrograms, and experts' votes."""

from pipeline.competition import base
from pipeline.metrics.usual import KL_DIVERGENCE
from pipeline.readers.tables import Spectrogram
from pipeline.tasks.soft_labels.config import AugmentConfig, Config, FoldConfig, PredictConfig, TrainConfig
from pipeline.tasks.soft_labels.task import SoftLabels
from tests.gallery.hms_brain_activity.generator import write_sample

NAMES = [f"{kind}_vote" for kind in ("seizure", "lpd", "gpd", "lrda", "grda", "other")]
OFFSET = "spectrogram_label_offset_seconds"


class Competition(base.Competition):
    kaggle_slug = "hms-harmful-brain-activity-classification"
    task = SoftLabels(NAMES, votes=True, id_column="eeg_id")
    metric = KL_DIVERGENCE
    reader = Spectrogram(("LL", "RL", "LP", "RP"), rows=300, first="first", log=(1e-4, 1e8), fill=0.0)

    def load_train(self, raw):
        table = raw.read_csv("train.csv", ["label_id", "spectrogram_id", "patient_id", OFFSET, *NAMES])
        return table[NAMES].assign(
            image_id=table["label_id"],
            path=_paths(raw, table, "train"),
            group=table["patient_id"],
            first=table[OFFSET].astype("float64").astype("int64") // 2,  # a row every two seconds
        )

    def load_test(self, raw):
        table = raw.read_csv("test.csv", ["spectrogram_id", "eeg_id"])
        return (
            table[["eeg_id"]].set_axis(["image_id"], axis=1).assign(path=_paths(raw, table, "test"), first=0)
        )

    def make_sample(self, raw, seed):
        return write_sample(raw, seed)


def _paths(raw, table, split):
    return [str(raw.find(f"{split}_spectrograms") / f"{name}.parquet") for name in table["spectrogram_id"]]


CONFIGS = {
    "sample": Config(
        folds=FoldConfig(scheme="group", count=5, use=1),
        augment=AugmentConfig(crop="none", horizontal_flip=False),
        train=TrainConfig(epochs=10, batch_size=16, lr=0.05, workers=0),
        predict=PredictConfig(flip=False),
    )
}
