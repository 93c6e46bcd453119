"""The only place that applies the activation and test-time augmentation."""

from collections.abc import Callable, Iterator, Sequence
from itertools import product

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

from pipeline.config import PredictConfig
from pipeline.data.batches import Images, evaluation_batches
from pipeline.tasks.task import Task
from pipeline.transforms import Preprocess

View = Callable[[torch.Tensor], torch.Tensor]


@torch.inference_mode()
def predict(
    model: nn.Module,
    task: Task,
    images: Images,
    rows: np.ndarray,
    classes: Sequence[str],
    preprocess: Preprocess,
    config: PredictConfig,
    workers: int,
    device: torch.device,
    advance: Callable[[int], None] = lambda count: None,
) -> pd.DataFrame:
    """Predict some rows of `images`, in order.

    Probabilities are averaged over the views that `config` asks for. Computed in float32, so that the result
    does not depend on the batch size; the model is put in eval mode and is not changed.

    Returns
    -------
    The task's predictions frame, one row per entry of `rows`.
    """
    was_training = model.training
    model.eval()
    views = tta_views(config, preprocess.size)
    ids, probabilities = [], []
    for batch_ids, batch in evaluation_batches(images, rows, preprocess, config.batch_size, workers, device):
        total = sum(task.activate(model(view(batch)).float()) for view in views)
        probabilities.append((total / len(views)).cpu())
        ids.extend(batch_ids)
        advance(len(batch_ids))
    model.train(was_training)
    return task.to_frame(ids, torch.cat(probabilities), classes)


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
