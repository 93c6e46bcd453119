"""hubmap-kidney-segmentation: slides of gigapixels in a few TIFF files, one row of run lengths for each."""

from pipeline.competition import base
from pipeline.frame.mask_tables import pair_masks, run_lengths_of
from pipeline.frame.tiles import TileRows, Tiling
from pipeline.metrics.usual import mean_dice
from pipeline.readers.regions import TiffRegion
from pipeline.tasks.overlapping_segmentation.config import (
    AugmentConfig,
    Config,
    FoldConfig,
    ModelConfig,
    PredictConfig,
    TrainConfig,
)
from pipeline.tasks.overlapping_segmentation.tiled import TiledSegmentation, of_wholes
from tests.gallery.hubmap_kidney.generator import write_sample

TILES = Tiling(side=128, step=96, shrink=2)


class Competition(base.Competition):
    kaggle_slug = "hubmap-kidney-segmentation"
    task = TiledSegmentation(["glomerulus"], TILES, rows=TileRows(rle_column="predicted", key="{image}"))
    metric = of_wholes(mean_dice(background=True))
    reader = TiffRegion(side=TILES.side, shrink=TILES.shrink)

    def load_train(self, raw):
        table = raw.read_csv("train.csv", ["id", "encoding"])
        masks = run_lengths_of(table, ["glomerulus"], "train.csv", image="id", rle="encoding")
        tiles = TILES.rows(pair_masks(masks, raw.images("train", [".tiff"]), "train.csv", "train"))
        return tiles.assign(group=tiles["whole"])

    def load_test(self, raw):
        return TILES.rows(raw.images("test", [".tiff"]))

    def to_submission(self, predictions, test, classes):
        return self.task.whole_rows(predictions, test, classes)

    def make_sample(self, raw, seed):
        return write_sample(raw, seed)


CONFIGS = {
    "sample": Config(
        folds=FoldConfig(scheme="group", count=3, use=1),
        model=ModelConfig(name="test_resnet", decoder="fpn", image_size=64),
        augment=AugmentConfig(min_scale=0.9, max_scale=1.1),
        train=TrainConfig(epochs=3, passes=3, batch_size=8, optimizer="adamw", lr=5e-3, workers=0),
        predict=PredictConfig(flip=False),
    )
}
