"""Prediction: the activation, test-time augmentation and what is asked for, the same for every caller."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

from pipeline.config.config import PredictConfig
from pipeline.inputs.batches import Images, evaluation_batches
from pipeline.inputs.transforms import Preprocess

if TYPE_CHECKING:
    from pipeline.tasks.task import Task

View = Callable[[torch.Tensor], torch.Tensor]

MOST_PIXELS = 4_000_000
"""Of one forward pass, 80 photographs of 224 x 224: they take 2 GB in a MobileNetV2, and 500 take 9."""


@dataclass(frozen=True)
class Request:
    """What to predict, and how.

    Attributes
    ----------
    rows : row numbers of `images`.
    folder : for files that the predictions refer to; those that are there are not made again.
    workers : processes that load images.
    """

    images: Images
    rows: np.ndarray
    classes: list[str]
    preprocess: Preprocess
    config: PredictConfig
    workers: int
    device: torch.device
    folder: Path


@torch.inference_mode()
def predict(
    model: nn.Module,
    task: "Task",
    request: Request,
    advance: Callable[[int], None] = lambda count: None,
) -> pd.DataFrame:
    """Predict the rows asked for, in order.

    Computed in float32, so that the result does not depend on the batch size; the model is put in eval mode
    and is not changed.

    Parameters
    ----------
    advance : told the number of images of every part that is done.

    Returns
    -------
    The task's predictions frame, one row per entry of ``request.rows``.
    """
    training = {name: module.training for name, module in model.named_modules()}
    model.eval()
    parts = []
    for part in task.predict(model, request):
        parts.append(part)
        advance(len(part))
    for name, module in model.named_modules():
        module.training = training[name]
    return pd.concat(parts, ignore_index=True)


def probabilities(
    model: nn.Module, activate: Callable[[torch.Tensor], torch.Tensor], request: Request
) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
    """Yield (image ids, `activate` of the outputs (B, C) averaged over the config's views), on the CPU."""
    views = tta_views(request.config, request.preprocess.size)
    batches = evaluation_batches(
        request.images,
        request.rows,
        request.preprocess,
        images_at_once(request.config, request.preprocess.size),
        request.workers,
        request.device,
    )
    for ids, batch in batches:
        total = sum(activate(model(view(batch)).float()) for view in views)
        yield ids, (total / len(views)).cpu()


def images_at_once(config: PredictConfig, size: int) -> int:
    """Images of `size` pixels a side in one forward pass: the config's number, or fewer where so many of that
    size could fill the memory."""
    return max(1, min(config.batch_size, MOST_PIXELS // size**2))


def tta_views(config: PredictConfig, size: int) -> list[View]:
    """Every combination of crop, shift and flip as a function of a normalised batch (N, 3, size, size)."""
    flips: list[View] = [_same, _flip] if config.flip else [_same]
    return [_chain(*parts) for parts in product(_crops(config.crops, size), _shifts(config.shift), flips)]


def _same(batch: torch.Tensor) -> torch.Tensor:
    return batch


def _flip(batch: torch.Tensor) -> torch.Tensor:
    return batch.flip(3)


def _chain(*views: View) -> View:
    def apply(batch: torch.Tensor) -> torch.Tensor:
        for view in views:
            batch = view(batch)
        return batch

    return apply


def _shifts(pixels: int) -> list[View]:
    def moved(down: int, right: int) -> View:
        def apply(batch: torch.Tensor) -> torch.Tensor:
            padded = F.pad(batch, (pixels,) * 4, mode="reflect")
            top, left = pixels - down, pixels - right
            return padded[:, :, top : top + batch.shape[2], left : left + batch.shape[3]]

        return apply

    return [_same] + ([moved(pixels, pixels), moved(-pixels, -pixels)] if pixels else [])


def _crops(count: int, size: int) -> list[View]:
    side = size * 7 // 8

    def corner(top: int, left: int) -> View:
        def apply(batch: torch.Tensor) -> torch.Tensor:
            crop = batch[:, :, top : top + side, left : left + side]
            return F.interpolate(
                crop, size=batch.shape[2:], mode="bilinear", align_corners=False, antialias=True
            )

        return apply

    corners: Iterator[tuple[int, int]] = product((0, size - side), repeat=2)
    return [_same] + ([corner(top, left) for top, left in corners] if count == 5 else [])
