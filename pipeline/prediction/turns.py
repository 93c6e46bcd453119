"""The eight ways in which a picture can be turned and mirrored without a loss, and how what is found in it is
turned back."""

from itertools import product
from typing import NamedTuple

import numpy as np
import torch

from pipeline.config.groups import PredictConfig


class Turn(NamedTuple):
    """First mirrored from left to right, or not; then turned by so many quarters, against the clock."""

    mirrored: bool
    quarters: int


def turns_of(config: PredictConfig) -> list[Turn]:
    """All combinations of the views that are asked for, each once; the picture as it is comes first."""
    flips = (False, True) if config.flip else (False,)
    upside_down = (False, True) if config.vertical_flip else (False,)
    quarters = range(4) if config.rot90 else (0, 2) if config.rot180 else (0,)
    # Upside down is mirrored and turned by half.
    found = (
        Turn(flip != down, (2 * down + more) % 4)
        for more, down, flip in product(quarters, upside_down, flips)
    )
    return list(dict.fromkeys(found))


def turned(images: torch.Tensor, turn: Turn) -> torch.Tensor:
    """Images (..., H, W), turned: (..., W, H) by one quarter or three."""
    return torch.rot90(images.flip(-1) if turn.mirrored else images, turn.quarters, (-2, -1))


def turned_back(maps: torch.Tensor, turn: Turn) -> torch.Tensor:
    """Inverse of `turned`."""
    upright = torch.rot90(maps, -turn.quarters, (-2, -1))
    return upright.flip(-1) if turn.mirrored else upright


def turned_array(image: np.ndarray, turn: Turn) -> np.ndarray:
    """An image (H, W, C), turned as `turned` does."""
    return np.ascontiguousarray(np.rot90(image[:, ::-1] if turn.mirrored else image, turn.quarters))


def boxes_back(boxes: torch.Tensor, turn: Turn, size: tuple[int, int]) -> torch.Tensor:
    """Boxes found in a turned picture as boxes of the picture.

    Parameters
    ----------
    boxes : float (K, 4), x1 y1 x2 y2 in pixels.
    size : height and width of the turned picture.
    """
    for quarter in range(turn.quarters):
        height = size[quarter % 2]  # before this quarter is turned back
        x1, y1, x2, y2 = boxes.unbind(dim=1)
        boxes = torch.stack((height - y2, x1, height - y1, x2), dim=1)
    width = size[0] if turn.quarters % 2 else size[1]
    if turn.mirrored:
        x1, y1, x2, y2 = boxes.unbind(dim=1)
        boxes = torch.stack((width - x2, y1, width - x1, y2), dim=1)
    return boxes
