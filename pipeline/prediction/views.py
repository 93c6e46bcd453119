"""Test-time augmentation of whole images: the views that an image is looked at in."""

from collections.abc import Callable, Iterator
from itertools import product

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from pipeline.config.groups import ImageSize, sides
from pipeline.config.whole_images import ViewPredict
from pipeline.inputs.batches import evaluation_batches
from pipeline.networks.joint import changed
from pipeline.prediction.request import Request, images_at_once
from pipeline.prediction.turns import Turn, turned, turns_of

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
        request.loaders,
    )
    for ids, batch in batches:
        total = torch.stack([activate(model(changed(batch, view)).float()) for view in views]).sum(dim=0)
        yield ids, (total / len(views)).cpu()


def tta_views(config: ViewPredict, size: ImageSize) -> list[View]:
    """Every combination of crop, shift, flips and turns as a function of a normalised batch (N, C, H, W)."""
    turns = [_turn(one) for one in turns_of(config)]
    return [_chain(*parts) for parts in product(_crops(config.crops, size), _shifts(config.shift), turns)]


def _same(batch: torch.Tensor) -> torch.Tensor:
    return batch


def _turn(turn: Turn) -> View:
    return lambda batch: turned(batch, turn)


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


def _crops(count: int, size: ImageSize) -> list[View]:
    (height, width), (tall, wide) = sides(size), (side * 7 // 8 for side in sides(size))

    def corner(top: int, left: int) -> View:
        def apply(batch: torch.Tensor) -> torch.Tensor:
            crop = batch[:, :, top : top + tall, left : left + wide]
            return F.interpolate(
                crop, size=batch.shape[2:], mode="bilinear", align_corners=False, antialias=True
            )

        return apply

    corners = product((0, height - tall), (0, width - wide))
    return [_same] + ([corner(top, left) for top, left in corners] if count == 5 else [])
