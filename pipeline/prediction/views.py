"""Test-time augmentation of whole images: the views that an image is looked at in."""

from collections.abc import Callable, Iterator
from itertools import product

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from pipeline.config.whole_images import ViewPredict
from pipeline.inputs.batches import evaluation_batches
from pipeline.prediction.request import Request, images_at_once

View = Callable[[torch.Tensor], torch.Tensor]


def view_means(
    model: nn.Module, activate: Callable[[torch.Tensor], torch.Tensor], request: Request[ViewPredict]
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
        total = torch.stack([activate(model(view(batch)).float()) for view in views]).sum(dim=0)
        yield ids, (total / len(views)).cpu()


def tta_views(config: ViewPredict, size: int) -> list[View]:
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

    edges = (0, size - side)
    corners = product(edges, edges)
    return [_same] + ([corner(top, left) for top, left in corners] if count == 5 else [])
