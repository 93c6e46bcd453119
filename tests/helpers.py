"""Names that several tests need."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model

from pipeline.competition.base import Competition
from pipeline.competition.prepared import Prepared
from pipeline.config.config import Config
from pipeline.inputs.batches import Images
from pipeline.inputs.loading import Loaders
from pipeline.inputs.preprocess import Preprocess
from pipeline.networks import cifarnet
from pipeline.networks.joint import Given
from pipeline.prediction.maps import map_path
from pipeline.prediction.predict import predict
from pipeline.prediction.request import Request
from pipeline.prediction.stored import save_map
from pipeline.tasks.detection.task import Detection
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
    """What a perfect model would predict, for the tasks that ship."""
    if isinstance(task, Segmentation):
        return _maps(task, truth, lambda row: np.eye(len(classes))[_countable(task, row)], folder)
    if isinstance(task, Detection):
        columns = truth[["image_id", "boxes", "labels"]]
        return columns.assign(scores=[[1.0] * len(labels) for labels in truth["labels"]])
    one_hot = pd.get_dummies(truth["label"]).reindex(columns=classes, fill_value=False).astype("float32")
    return pd.concat([truth[["image_id"]], one_hot], axis=1)


def untrained_predictions(
    competition: Competition, config: Config, data: Prepared, images: Images, folder: Path
) -> pd.DataFrame:
    """What a network of the config predicts before it has learnt anything, whatever the task."""
    torch.manual_seed(0)
    model = competition.task.build_network(config, data.classes, Given(data.decoding.channels), load=False)
    request = Request(
        images=images,
        rows=np.arange(len(images)),
        classes=data.classes,
        preprocess=Preprocess.of_model(model, config.model.image_size, data.decoding),
        config=config.predict.plain(),
        loaders=Loaders(0, torch.device("cpu")),
        folder=folder,
    )
    return predict(model, competition.task, request)


def _countable(task: Segmentation, row: Any) -> np.ndarray:
    mask = task.read(row.mask, row.image_id)
    return np.where(mask == 255, 0, mask)


def _maps(task: Segmentation, images: pd.DataFrame, values: Callable, folder: Path) -> pd.DataFrame:
    rows = []
    for row in images.itertuples():
        path = map_path(folder, str(row.image_id))
        save_map(path, values(row).transpose(2, 0, 1))
        rows.append((row.image_id, str(path), row.height, row.width))
    return pd.DataFrame(rows, columns=["image_id", "map_file", "height", "width"])
