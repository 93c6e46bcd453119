"""Numbers for every pixel at the image's own size: whole or in tiles, over scales, flips and turns."""

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import albumentations as A
import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

from pipeline.config.scales import MapPredict
from pipeline.inputs.mask_augment import fitted
from pipeline.inputs.preprocess import normalise
from pipeline.prediction.request import Request
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

    One image is in memory at a time. A file that is there, from a process that was killed, is not made again.

    Parameters
    ----------
    dtype : see `save_map`.
    """
    request.folder.mkdir(parents=True, exist_ok=True)
    fit = A.Compose([*fitted(request.preprocess)])
    for row in request.rows:
        image_id = str(request.images.frame["image_id"].iat[row])
        path = map_path(request.folder, image_id)
        image = request.images.read(int(row))
        height, width = request.images.size(int(row), image)
        if not path.exists():
            shown = np.array(fit(image=image)["image"])
            pixels = torch.from_numpy(shown).permute(2, 0, 1)[None].to(request.device)
            normalised = normalise(pixels, request.preprocess)
            values = image_map(model, normalised, request.config, min(request.preprocess.shape), activate)
            if shown.shape[:2] != (height, width):
                values = F.interpolate(values[None], (height, width), mode="bilinear", align_corners=False)[0]
            save_map(path, values.cpu().numpy(), dtype)
        yield pd.DataFrame(
            {"image_id": [image_id], "map_file": [str(path)], "height": [height], "width": [width]}
        ).astype({"image_id": "str", "map_file": "str"})


def map_path(folder: Path, image_id: str) -> Path:
    """Where the numbers of an image are kept; any id makes one safe file name."""
    return folder / f"{quote(image_id, safe='')}.npz"


def image_map(
    model: nn.Module, image: torch.Tensor, config: MapPredict, smallest: int, activate: Activate
) -> torch.Tensor:
    """Mean over all scales, flips and turns of the activated outputs, (C, H, W), of one normalised image
    (1, C, H, W).

    Parameters
    ----------
    smallest : an image whose shorter side would fall below a quarter of this is not shrunk any further: the
        encoder would see a handful of pixels.
    """
    height, width = image.shape[2:]
    views = []
    for scale in config.scales:
        scale = max(scale, min(1.0, smallest / 4 / min(height, width)))
        size = (max(1, round(scale * height)), max(1, round(scale * width)))
        scaled = image
        if size != (height, width):
            scaled = F.interpolate(image, size, mode="bilinear", align_corners=False, antialias=scale < 1)
        turns = turns_of(config)
        total = _one_view(model, turned(scaled, turns[0]), config, activate)
        for turn in turns[1:]:
            total = total + turned_back(_one_view(model, turned(scaled, turn), config, activate), turn)
        values = total / len(turns)
        if size != (height, width):
            values = F.interpolate(values, (height, width), mode="bilinear", align_corners=False)
        views.append(values[0])
    return torch.stack(views).mean(dim=0) if len(views) > 1 else views[0]


def _one_view(model: nn.Module, image: torch.Tensor, config: MapPredict, activate: Activate) -> torch.Tensor:
    def values(batch: torch.Tensor) -> torch.Tensor:
        return activate(model(batch).float())

    if config.tile:
        return predict_tiled(values, image[0], config.tile, config.overlap, min(config.batch_size, 8))[None]
    return values(image)
