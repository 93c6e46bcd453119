"""Numbers for every pixel at the image's own size: whole or in tiles, over scales, flips and turns."""

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

from pipeline.config.scales import MapPredict
from pipeline.inputs.batches import Sized, sized_images
from pipeline.inputs.mask_augment import fitted
from pipeline.inputs.preprocess import normalise
from pipeline.prediction.request import MOST_PIXELS, Request
from pipeline.prediction.stored import save_map
from pipeline.prediction.tiles import predict_tiled
from pipeline.prediction.turns import turned, turned_back, turns_of

Activate = Callable[[torch.Tensor], torch.Tensor]
"""From a network's float32 outputs (N, C, H, W) to numbers from 0 to 1 of the same shape."""


def predict_maps(
    model: nn.Module,
    request: Request[MapPredict],
    activate: Activate,
    dtype: type[np.unsignedinteger] = np.uint8,
) -> Iterator[pd.DataFrame]:
    """Write each image's numbers to ``request.folder`` and yield its row of the predictions frame.

    A few images are in memory at a time; those of one size are looked at together. A file that is there, from
    a process that was killed, is not made again.

    Parameters
    ----------
    dtype : see `save_map`.
    """
    request.folder.mkdir(parents=True, exist_ok=True)
    ids = request.images.frame["image_id"]
    loaded = sized_images(
        request.images, request.rows, request.preprocess, fitted, _at_once(request.config), request.loaders
    )
    for rows, images in loaded:
        paths = [map_path(request.folder, str(ids.iat[row])) for row in rows]
        missing = [number for number, path in enumerate(paths) if not path.exists()]
        for chosen in _of_one_size(missing, images, max(request.config.scales)):
            pixels = torch.stack([images[number][0] for number in chosen]).permute(0, 3, 1, 2)
            normalised = normalise(pixels.to(request.device), request.preprocess)
            values = image_map(model, normalised, request.config, min(request.preprocess.shape), activate)
            for number, one in zip(chosen, values, strict=True):
                size = images[number][1]
                if one.shape[1:] != size:
                    one = F.interpolate(one[None], size, mode="bilinear", align_corners=False)[0]
                save_map(paths[number], one.cpu().numpy(), dtype)
        for row, path, (_, (height, width)) in zip(rows, paths, images, strict=True):
            yield pd.DataFrame(
                {
                    "image_id": [str(ids.iat[row])],
                    "map_file": [str(path)],
                    "height": [height],
                    "width": [width],
                }
            ).astype({"image_id": "str", "map_file": "str"})


def _at_once(config: MapPredict) -> int:
    """Images in memory; one where it is looked at in tiles."""
    return 1 if config.tile else min(config.batch_size, 8)


def _of_one_size(numbers: Sequence[int], images: Sequence[Sized], scale: float) -> Iterator[list[int]]:
    """The numbers of images that are looked at together: of one size, and as many as there is memory for at
    the greatest scale."""
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for number in numbers:
        by_shape.setdefault(tuple(images[number][0].shape), []).append(number)
    for shape, same in by_shape.items():
        count = max(1, int(MOST_PIXELS / (math.prod(shape[:2]) * scale**2)))
        yield from (same[start : start + count] for start in range(0, len(same), count))


def map_path(folder: Path, image_id: str) -> Path:
    """Where the numbers of an image are kept; any id makes one safe file name."""
    return folder / f"{quote(image_id, safe='')}.npz"


def image_map(
    model: nn.Module, images: torch.Tensor, config: MapPredict, smallest: int, activate: Activate
) -> torch.Tensor:
    """Mean over all scales, flips and turns of the activated outputs, (N, C, H, W), of normalised images
    (N, C, H, W); of one where it is looked at in tiles.

    Parameters
    ----------
    smallest : an image whose shorter side would fall below a quarter of this is not shrunk any further: the
        encoder would see a handful of pixels.
    """
    height, width = images.shape[2:]
    views = []
    for scale in config.scales:
        scale = max(scale, min(1.0, smallest / 4 / min(height, width)))
        size = (max(1, round(scale * height)), max(1, round(scale * width)))
        scaled = images
        if size != (height, width):
            scaled = F.interpolate(images, size, mode="bilinear", align_corners=False, antialias=scale < 1)
        turns = turns_of(config)
        total = _one_view(model, turned(scaled, turns[0]), config, activate)
        for turn in turns[1:]:
            total = total + turned_back(_one_view(model, turned(scaled, turn), config, activate), turn)
        values = total / len(turns)
        if size != (height, width):
            values = F.interpolate(values, (height, width), mode="bilinear", align_corners=False)
        views.append(values)
    return torch.stack(views).mean(dim=0) if len(views) > 1 else views[0]


def _one_view(model: nn.Module, images: torch.Tensor, config: MapPredict, activate: Activate) -> torch.Tensor:
    def values(batch: torch.Tensor) -> torch.Tensor:
        return activate(model(batch).float())

    if config.tile:
        return predict_tiled(values, images[0], config.tile, config.overlap, min(config.batch_size, 8))[None]
    return values(images)
