"""Probabilities of every pixel at the image's own size: whole or in tiles, over scales and flips."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

from pipeline.inputs.preprocess import normalise
from pipeline.prediction.request import Request
from pipeline.prediction.tiles import predict_tiled
from pipeline.tasks.segmentation.config import PredictConfig
from pipeline.tasks.segmentation.stored import save_map


def predict_maps(model: nn.Module, request: Request[PredictConfig]) -> Iterator[pd.DataFrame]:
    """Write each image's probabilities to ``request.folder`` and yield its row of the predictions frame.

    One image is in memory at a time. A file that is there, from a process that was killed, is not made again.
    """
    request.folder.mkdir(parents=True, exist_ok=True)
    for row in request.rows:
        image_id = str(request.images.frame["image_id"].iat[row])
        path = map_path(request.folder, image_id)
        image = request.images.read(int(row))
        if not path.exists():
            pixels = torch.from_numpy(image.copy()).permute(2, 0, 1)[None].to(request.device)
            values = image_probabilities(
                model, normalise(pixels, request.preprocess), request.config, request.preprocess.size
            )
            save_map(path, values.cpu().numpy())
        height, width = image.shape[:2]
        yield pd.DataFrame(
            {"image_id": [image_id], "map_file": [str(path)], "height": [height], "width": [width]}
        ).astype({"image_id": "str", "map_file": "str"})


def map_path(folder: Path, image_id: str) -> Path:
    """Where the probabilities of an image are kept; any id makes one safe file name."""
    return folder / f"{quote(image_id, safe='')}.npz"


def image_probabilities(
    model: nn.Module, image: torch.Tensor, config: PredictConfig, smallest: int
) -> torch.Tensor:
    """Mean over all scales and flips of the softmax, (C, H, W), of one normalised image (1, 3, H, W).

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
        values = _one_view(model, scaled, config)
        if config.flip:
            values = (values + _one_view(model, scaled.flip(3), config).flip(3)) / 2
        if size != (height, width):
            values = F.interpolate(values, (height, width), mode="bilinear", align_corners=False)
        views.append(values[0])
    return torch.stack(views).mean(dim=0) if len(views) > 1 else views[0]


def _one_view(model: nn.Module, image: torch.Tensor, config: PredictConfig) -> torch.Tensor:
    def softmax(batch: torch.Tensor) -> torch.Tensor:
        return model(batch).float().softmax(dim=1)

    if config.tile:
        return predict_tiled(softmax, image[0], config.tile, config.overlap, min(config.batch_size, 8))[None]
    return softmax(image)
