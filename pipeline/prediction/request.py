"""What to predict, and how."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import torch

from pipeline.config.groups import ImageSize, PredictConfig, sides
from pipeline.inputs.batches import Images
from pipeline.inputs.loading import Loaders
from pipeline.inputs.preprocess import Preprocess

PredictT = TypeVar("PredictT", bound=PredictConfig)

MOST_PIXELS = 4_000_000
"""Of one forward pass, 80 photographs of 224 x 224: they take 2 GB in a MobileNetV2, and 500 take 9."""


@dataclass(frozen=True, kw_only=True)
class Request(Generic[PredictT]):
    """What to predict, and how.

    Attributes
    ----------
    rows : row numbers of `images`.
    folder : for files that the predictions refer to; those that are there are not made again.
    loaders : load the images, for this device.
    """

    images: Images
    rows: np.ndarray
    classes: list[str]
    preprocess: Preprocess
    config: PredictT
    loaders: Loaders
    folder: Path

    @property
    def device(self) -> torch.device:
        """What computes."""
        return self.loaders.device


def images_at_once(config: PredictConfig, size: ImageSize) -> int:
    """Images of this size in one forward pass: the config's number, or fewer where so many of that
    size could fill the memory."""
    return max(1, min(config.batch_size, MOST_PIXELS // math.prod(sides(size))))
