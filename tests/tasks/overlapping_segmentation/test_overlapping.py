"""What is particular to masks that may overlap."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from pipeline.base.errors import UserError
from pipeline.base.parts import Table, Tiles
from pipeline.competition.decoded import DecodedCache, hashes_of_cells
from pipeline.frame.mask_rows import MaskRows
from pipeline.frame.rle import RunLengths
from pipeline.inputs.batches import Images
from pipeline.inputs.loading import Loaders
from pipeline.inputs.preprocess import Preprocess
from pipeline.metrics.pixels import mean_dice
from pipeline.prediction.predict import predict
from pipeline.prediction.request import Request
from pipeline.prediction.stored import load_values
from pipeline.tasks.mask_truth import ClassFiles, MaskFile
from pipeline.tasks.overlapping_segmentation.config import (
    AugmentConfig,
    Config,
    ModelConfig,
    PredictConfig,
    TrainConfig,
)
from pipeline.tasks.overlapping_segmentation.counts import mask_counts
from pipeline.tasks.overlapping_segmentation.task import OverlappingSegmentation
from pipeline.tasks.task import ReportRequest

CLASSES = [f"kind {number}" for number in range(6)]
TASK = OverlappingSegmentation(CLASSES, may_lack=CLASSES[4:])
PLAIN = Preprocess(48, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@pytest.fixture
def frame(tmp_path) -> pd.DataFrame:
    """Three images of different sizes: bits of the red channel are the masks of four of six classes."""
    random, rows = np.random.default_rng(0), []
    for name, (height, width) in {"a": (40, 70), "b": (60, 30), "wide/c": (48, 48)}.items():
        bits = random.integers(0, 16, (height // 5 + 1, width // 5 + 1)).repeat(5, 0).repeat(5, 1)
        bits = bits[:height, :width].astype("uint8")
        path = tmp_path / f"{name.replace('/', '-')}.png"
        Image.fromarray(np.stack([bits * 16] * 3, axis=2)).save(path)
        texts = [RunLengths().text(bits & (1 << place)) for place in range(6)]
        rows.append((name, str(path), texts, height, width))
    return pd.DataFrame(rows, columns=["image_id", "path", "masks", "height", "width"])


class RedToMasks(torch.nn.Module):
    """Knows the answer at each pixel, whatever is around it."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        bits = (((images[:, :1] * 0.5 + 0.5) * 255 / 16).round()).long()
        return 20.0 * (((bits >> torch.arange(6).view(1, -1, 1, 1)) & 1) * 2 - 1)


def _predict(frame: pd.DataFrame, folder: Path, **options) -> pd.DataFrame:
    request = Request(
        images=Images(frame, None),
        rows=np.arange(len(frame)),
        classes=CLASSES,
        preprocess=PLAIN,
        config=PredictConfig(batch_size=2, **options),
        loaders=Loaders(0, torch.device("cpu")),
        folder=folder,
    )
    return predict(RedToMasks(), TASK, request)


@pytest.mark.parametrize("options", [{"flip": True}, {"tile": 32, "flip": False}])
def test_a_perfect_model_scores_one_and_nothing_is_normalised(frame, tmp_path, options):
    predictions = _predict(frame, tmp_path / "maps", **options)
    (counts,) = TASK.evidence("pixels", frame, predictions, CLASSES)
    assert counts.shape == (3, 6, 3) and mean_dice(counts) == 1.0 and counts[:, 4:].sum() == 0
    values = load_values(predictions["map_file"][0])
    assert values.shape == (6, 40, 70) and values.sum(axis=0).max() == 4
    half = TASK.average([predictions, predictions], tmp_path / "mean", Config())
    assert (load_values(half["map_file"][0]) == values).all()


def test_masks_become_rows_that_are_accepted(frame, tmp_path):
    predictions = _predict(frame, tmp_path / "maps", flip=False)
    form = TASK.submission_format(CLASSES)
    rows = TASK.to_submission(predictions, CLASSES)
    sample = form.sample_of(frame["image_id"].tolist())
    written = form.checked(rows, sample, frame, "s.csv").set_index("id")["rle"]
    for image_id, texts in zip(frame["image_id"], frame["masks"], strict=True):
        assert [written[f"{image_id}_{name}"] for name in CLASSES] == texts


def test_image_and_masks_of_many_classes_go_through_the_same_geometry(frame):
    config = Config(augment=AugmentConfig(min_scale=1.0, max_scale=1.0, vertical_flip=True))
    targets, transform = TASK.targets(frame, CLASSES, config), TASK.train_transform(config, PLAIN)
    transform.set_random_seed(3)
    read = Images(frame, None).read
    examples = [targets.example(index, read, transform) for index in (0, 1, 2) * 4]
    masks = targets.batch([mask for _, mask in examples])
    pixels = np.stack([image for image, _ in examples])
    assert masks.shape == (12, 6, 48, 48) and masks.dtype == torch.uint8
    seen = (masks != 255).all(dim=1).numpy()
    assert ((masks == 255).all(dim=1).numpy() == ~seen).all() and (~seen).any()
    bits = ((masks == 1).long() << torch.arange(6).view(1, -1, 1, 1)).sum(dim=1).numpy()
    assert (pixels[..., 0][seen] == 16 * bits[seen]).all()


def test_a_network_learns_a_batch(frame):
    config = Config(
        model=ModelConfig(name="test_resnet", decoder="fpn"), train=TrainConfig(loss="bce+lovasz")
    )
    model = TASK.build_model(config, CLASSES)
    objective = TASK.objective(config, TASK.targets(frame, CLASSES, config))
    images, masks = torch.randn(2, 3, 64, 64), torch.zeros(2, 6, 64, 64, dtype=torch.uint8)
    masks[:, 1, :20] = 1
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    losses = []
    for _ in range(8):
        optimizer.zero_grad()
        losses.append(objective(model, images, masks))
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < 0.5 * losses[0]


class TestClasses:
    def frame(self, *masks: list[str]) -> pd.DataFrame:
        return pd.DataFrame({"image_id": [str(n) for n in range(len(masks))], "masks": list(masks)})

    def test_a_class_that_no_mask_has_stops_the_run(self):
        task = OverlappingSegmentation(["leaf", "stem"])
        assert task.classes(self.frame(["", "1 1"], ["2 1", ""])) == ["leaf", "stem"]
        with pytest.raises(UserError, match="no training mask has a pixel of the class stem"):
            task.classes(self.frame(["1 1", ""], ["2 1", "-1"]))
        lax = OverlappingSegmentation(["leaf", "stem"], may_lack=["stem"])
        assert lax.classes(self.frame(["1 1", ""])) == ["leaf", "stem"]
        with pytest.raises(UserError, match="no training mask has a pixel of the class leaf"):
            lax.classes(self.frame(["", "1 1"]))

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"classes": []}, "has the classes"),
            ({"classes": ["a", "a"]}, "name each, once"),
            ({"classes": ["a"], "may_lack": ["b"]}, "no class 'b'"),
            ({"classes": ["a", "b"], "rows": MaskRows(key="{image}")}, "does not tell 2 classes apart"),
        ],
    )
    def test_what_contradicts_itself_is_refused(self, options, message):
        with pytest.raises(UserError, match=message):
            OverlappingSegmentation(**options).check(Config(model=ModelConfig(name="test_resnet")))

    def test_the_stratum_is_the_rarest_class_or_none(self):
        masks = [["1 4", "2 1"], ["1 4", ""], ["", ""], ["3 1", ""]]
        frame = self.frame(*masks).assign(height=4, width=4, path="")
        assert OverlappingSegmentation(["a", "b"]).strata(frame).tolist() == ["b", "a", "", "a"]
        with pytest.raises(UserError, match="image 0: its run lengths do not fit its 1 x 2 pixels"):
            OverlappingSegmentation(["a", "b"]).strata(frame.assign(height=2, width=1))


def test_counts_leave_ignored_pixels_out():
    truth = np.array([[[1], [0], [255], [1], [255]]], dtype="uint8")
    masks = np.array([[[True, True, True, False, False]]])
    assert mask_counts(truth, masks).tolist() == [[1, 1, 1]]


def test_the_report_draws_the_classes_and_the_worst_images(frame, tmp_path):
    predictions = _predict(frame, tmp_path / "maps", flip=False)
    request = ReportRequest(
        truth=frame,
        oof=predictions,
        images=Images(frame, None),
        classes=CLASSES,
        evidence=lambda needs: TASK.evidence(needs, frame, predictions, CLASSES),
        folder=tmp_path,
    )
    classes, images = TASK.report(request)
    assert isinstance(classes, Table) and {row[0]: row[1] for row in classes.rows}[CLASSES[0]] == 1.0
    assert isinstance(images, Tiles) and len(images.tiles) == len(frame)
    assert [len(tile.pictures) for tile in images.tiles] == [4] * len(frame)
    seen, caption = TASK.picture(images.tiles[0].pictures[0], predictions.iloc[0].to_dict(), CLASSES)
    assert seen.shape == (40, 70, 3) and CLASSES[0] in caption


def test_files_of_masks_are_part_of_the_data_by_their_content(tmp_path):
    for name, value in (("a.png", 0), ("b.png", 255)):
        Image.fromarray(np.full((3, 3), value, dtype="uint8")).save(tmp_path / name)
    a, b = str(tmp_path / "a.png"), str(tmp_path / "b.png")
    cache = DecodedCache(tmp_path / "decoded.parquet")
    found = hashes_of_cells(cache, [[a, ""], [b, a]])
    assert found[0][1] == "" and found[0][0] == found[1][1] != found[1][0]
    assert hashes_of_cells(cache, [a]) == [found[0][0]]
    assert OverlappingSegmentation(["x"], ClassFiles()).file_columns == ("masks",)
    assert OverlappingSegmentation(["x"], MaskFile()).file_columns == ("mask",)
    with pytest.raises(UserError, match=r"lost\.png"):
        hashes_of_cells(cache, [[str(tmp_path / "lost.png")]])
