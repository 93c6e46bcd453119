"""Truth and predictions of images that are read smaller than their files."""

from dataclasses import replace
from pathlib import Path

import albumentations as A
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from pipeline.config.reach import Reach
from pipeline.inputs.batches import Images
from pipeline.inputs.loading import Loaders
from pipeline.inputs.preprocess import Preprocess
from pipeline.prediction.predict import predict
from pipeline.prediction.request import Request
from pipeline.prediction.stored import load_map
from pipeline.tasks.detection import config as detection
from pipeline.tasks.detection.targets import Boxes
from pipeline.tasks.detection.task import Detection
from pipeline.tasks.mask_truth import MaskFile
from pipeline.tasks.overlapping_segmentation import targets as overlapping
from pipeline.tasks.segmentation import config as segmentation
from pipeline.tasks.segmentation.task import Segmentation

HEIGHT, WIDTH = 240, 360
SHAPE = (120, 180)
REACH = Reach(*SHAPE)
BOX = (90, 60, 210, 180)
"""xyxy of a bright square on a dark ground."""


@pytest.fixture
def frame(tmp_path) -> pd.DataFrame:
    """One image of a bright square, with its mask and its box."""
    mask = np.zeros((HEIGHT, WIDTH), dtype="uint8")
    mask[BOX[1] : BOX[3], BOX[0] : BOX[2]] = 1
    names = tmp_path / "x.png", tmp_path / "mask.png"
    for path, values in zip(names, (np.dstack([40 + 160 * mask] * 3), mask), strict=True):
        Image.fromarray(values).save(path)
    row = {
        "image_id": "x",
        "path": str(names[0]),
        "width": WIDTH,
        "height": HEIGHT,
        "mask": str(names[1]),
        "boxes": [list(BOX)],
        "labels": ["square"],
        "crowd": [False],
        "masks": [""],
    }
    return pd.DataFrame([row])


@pytest.fixture
def images(frame) -> Images:
    return Images(frame, None, reach=REACH)


def bright(image: np.ndarray) -> np.ndarray:
    return image[..., 0] > 120


def test_boxes_and_their_masks_follow_the_image(frame, images):
    augment = detection.AugmentConfig()
    transform = A.Compose([A.NoOp()], bbox_params=A.BboxParams("pascal_voc", ["index"]))
    image, (boxes, _, masks) = Boxes(frame, ["square"], augment, True).example(0, images.read, transform)
    assert image.shape[:2] == SHAPE
    np.testing.assert_allclose(boxes, np.array([BOX]) / 2)
    np.testing.assert_array_equal(masks[0] == 1, bright(image))


def test_masks_follow_the_image(frame, images):
    task = Segmentation(["ground", "square"], np.zeros((2, 3), dtype="uint8"))
    targets = task.targets(frame, task.names, segmentation.Config())
    image, mask = targets.example(0, images.read, A.Compose([]))
    np.testing.assert_array_equal(mask == 1, bright(image))


def test_masks_that_may_overlap_follow_the_image(frame, images):
    image, mask = overlapping.Masks(frame, MaskFile(), 1).example(0, images.read, A.Compose([]))
    np.testing.assert_array_equal(mask[..., 0] == 1, bright(image))


def asked(images: Images, config, size: int, fit: str, folder: Path) -> Request:
    return Request(
        images=images,
        rows=np.arange(1),
        classes=["ground", "square"],
        preprocess=Preprocess(size, (0.5,) * 3, (0.25,) * 3, fit=fit),
        config=config,
        loaders=Loaders(0, torch.device("cpu")),
        folder=folder,
    )


def test_maps_have_the_size_of_the_file(images, tmp_path):
    task = Segmentation(["ground", "square"], np.zeros((2, 3), dtype="uint8"))
    config = segmentation.PredictConfig(flip=False, amp="off")

    class Bright(torch.nn.Module):
        def forward(self, batch):
            return torch.cat([-batch[:, :1], batch[:, :1]], dim=1) * 9

    found = predict(Bright(), task, asked(images, config, 120, "resize", tmp_path)).iloc[0]
    assert (found["height"], found["width"]) == (HEIGHT, WIDTH)
    truth = np.zeros((HEIGHT, WIDTH), dtype=bool)
    truth[BOX[1] : BOX[3], BOX[0] : BOX[2]] = True
    square = load_map(found["map_file"]).argmax(axis=0) == 1
    assert square.shape == truth.shape
    assert (square != truth).mean() < 0.02


def test_boxes_are_in_pixels_of_the_file(images, tmp_path):
    config = detection.Config(model=detection.ModelConfig(name="mobilenetv2_050", image_size=64))
    torch.manual_seed(0)
    model = Detection().build_model(config, ["ground", "square"], load=False)
    plain = replace(config.predict.plain(), min_score=0.0, max_boxes=10, amp="off")
    request = asked(images, plain, 64, "letterbox", tmp_path)
    small = predict(model, Detection(), request)
    whole = predict(model, Detection(), replace(request, images=replace(images, reach=None)))
    np.testing.assert_allclose(small["scores"][0], whole["scores"][0], atol=0.01)
    np.testing.assert_allclose(np.stack(small["boxes"][0]), np.stack(whole["boxes"][0]), atol=6)
