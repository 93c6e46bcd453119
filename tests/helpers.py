"""Names that several tests need."""

import importlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model

from pipeline.competition.contract import Competition
from pipeline.networks import cifarnet
from pipeline.tasks.detection.predict import to_frame
from pipeline.tasks.detection.task import Detection
from pipeline.tasks.segmentation.predict import map_path
from pipeline.tasks.segmentation.stored import save_map
from pipeline.tasks.segmentation.task import Segmentation
from pipeline.tasks.task import Task

REPOSITORY = Path(__file__).parents[1]
SLUGS = sorted(path.parent.name for path in (REPOSITORY / "competitions").glob("*/competition.py"))
TINY = "cifarnet_for_tests"
"""A timm name for a network small enough to train within a test."""

default_cfgs = generate_default_cfgs({TINY: cifarnet.default_cfgs["podium_cifarnet"].default.to_dict()})


@register_model
def cifarnet_for_tests(pretrained: bool = False, **options) -> cifarnet.CifarNet:
    """podium_cifarnet with few channels."""
    return build_model_with_cfg(cifarnet.CifarNet, TINY, pretrained, widths=(8, 16, 16), **options)


def competition_of(slug: str) -> Competition:
    """The competition in folder `slug`."""
    return importlib.import_module(f"competitions.{slug}.competition").Competition()


def ideal_predictions(task: Task, truth: pd.DataFrame, classes: list[str], folder: Path) -> pd.DataFrame:
    """What a perfect model would predict."""
    if isinstance(task, Segmentation):
        return _maps(task, truth, lambda row: np.eye(len(classes))[_countable(task, row)], folder)
    if isinstance(task, Detection):
        columns = truth[["image_id", "boxes", "labels"]]
        return columns.assign(scores=[[1.0] * len(labels) for labels in truth["labels"]])
    one_hot = pd.get_dummies(truth["label"]).reindex(columns=classes, fill_value=False).astype("float32")
    return pd.concat([truth[["image_id"]], one_hot], axis=1)


def random_predictions(task: Task, images: pd.DataFrame, classes: list[str], folder: Path) -> pd.DataFrame:
    """What a model without any knowledge predicts."""
    random = np.random.default_rng(0)
    if isinstance(task, Segmentation):

        def blocks(row) -> np.ndarray:
            coarse = random.dirichlet(np.ones(len(classes)), (row.height // 8 + 1, row.width // 8 + 1))
            return coarse.repeat(8, 0).repeat(8, 1)[: row.height, : row.width]

        return _maps(task, images, blocks, folder)
    if isinstance(task, Detection):
        found = []
        for row in images.itertuples():
            corners = random.uniform(0, 0.5, (3, 4)) * np.array([row.width, row.height] * 2)
            boxes = torch.tensor(
                np.concatenate([corners[:, :2], corners[:, :2] + corners[:, 2:] + 2], axis=1)
            )
            scores = torch.tensor(np.sort(random.random(3))[::-1].copy())
            found.append((boxes, scores, torch.tensor(random.integers(0, len(classes), 3))))
        return to_frame(images["image_id"].tolist(), found, classes)
    values = random.dirichlet(np.ones(len(classes)), len(images)).astype("float32")
    frame = pd.DataFrame(values, columns=classes)
    frame.insert(0, "image_id", images["image_id"].to_numpy())
    return frame


def _countable(task: Segmentation, row) -> np.ndarray:
    mask = task.read(row.mask, row.image_id)
    return np.where(mask == 255, 0, mask)


def _maps(task: Segmentation, images: pd.DataFrame, values: Callable, folder: Path) -> pd.DataFrame:
    rows = []
    for row in images.itertuples():
        path = map_path(folder, row.image_id)
        save_map(path, values(row).transpose(2, 0, 1))
        rows.append((row.image_id, str(path), row.height, row.width))
    return pd.DataFrame(rows, columns=["image_id", "map_file", "height", "width"])
