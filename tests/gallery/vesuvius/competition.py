"""vesuvius-challenge-ink-detection: 16-bit slices of a fragment, a file each, as channels; F0.5 of ink."""

import pandas as pd

from pipeline.competition import base
from pipeline.frame.mask_tables import run_lengths_of
from pipeline.frame.rle import RunLengths
from pipeline.frame.tiles import TileRows, Tiling
from pipeline.metrics.usual import global_f
from pipeline.readers.regions import TiffRegion
from pipeline.readers.stored import Several
from pipeline.tasks.overlapping_segmentation.config import Config, FoldConfig, ModelConfig, TrainConfig
from pipeline.tasks.overlapping_segmentation.decide import MaskRules
from pipeline.tasks.overlapping_segmentation.tiled import TiledSegmentation
from tests.gallery.vesuvius.generator import write_sample

TILES = Tiling(side=64, step=48)
ROWS = RunLengths(order="rows")
NAMES = {"path": "02", "above": "03", "below": "04"}  # slices around the papyrus, those with ink


def tiles(raw, split):
    fragments = sorted(path for path in raw.find(split).iterdir() if path.is_dir())
    slices = {
        name: [str(path / "surface_volume" / f"{number}.tif") for path in fragments]
        for name, number in NAMES.items()
    }
    return TILES.rows(pd.DataFrame({"image_id": [path.name for path in fragments], **slices}))


class Competition(base.Competition):
    kaggle_slug = "vesuvius-challenge-ink-detection"
    task = TiledSegmentation(
        ["ink"], TILES, ROWS, TileRows(id_column="Id", rle_column="Predicted", key="{image}", runs=ROWS)
    )
    metric = global_f(0.5, background=True)
    decision = MaskRules(least_area=False)
    reader = Several(paths=tuple(NAMES), each=TiffRegion(side=TILES.side))

    def load_train(self, raw):
        frame = tiles(raw, "train")
        files = [f"train/{name}/inklabels_rle.csv" for name in frame["whole"].unique()]
        table = pd.concat([raw.read_csv(file, ["Id", "Predicted"]) for file in files], ignore_index=True)
        masks = run_lengths_of(table, ["ink"], "inklabels_rle.csv", image="Id", rle="Predicted", runs=ROWS)
        frame = frame.merge(masks.rename(columns={"image_id": "whole"}), on="whole")
        return frame.assign(group=frame["whole"])

    def load_test(self, raw):
        return tiles(raw, "test")

    def to_submission(self, predictions, test, classes):
        return self.task.whole_rows(predictions, test, classes)

    def make_sample(self, raw, seed):
        return write_sample(raw, seed)


CONFIGS = {
    "sample": Config(
        folds=FoldConfig(scheme="group", count=3, use=1),
        model=ModelConfig(name="test_resnet", decoder="fpn", image_size=64),
        train=TrainConfig(epochs=3, passes=3, batch_size=8, optimizer="adamw", lr=5e-3, workers=0),
    )
}
