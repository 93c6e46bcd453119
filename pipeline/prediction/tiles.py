"""Predicting a large image in overlapping tiles, blended so that their seams do not show."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F

FLOOR = 1e-3
"""Least weight along each side of a tile, relative to its middle: the image's edges have no other."""


def predict_tiled(
    probabilities: Callable[[torch.Tensor], torch.Tensor],
    image: torch.Tensor,
    tile: int,
    overlap: float = 0.25,
    batch_size: int = 4,
) -> torch.Tensor:
    """Predict an image of any size with a function that takes square tiles.

    An image smaller than a tile is mirrored at its right and lower edge to fill it. Memory is that of the
    image's probabilities and one batch of tiles.

    Parameters
    ----------
    probabilities : maps float32 (N, 3, tile, tile) to (N, C, tile, tile).
    image : normalised float32 (3, H, W).
    tile : side in pixels.
    overlap : least share of a tile that it has in common with its neighbour, from 0 to below 1.
    batch_size : tiles in each call; does not change the result.

    Returns
    -------
    float32 (C, H, W) on the image's device: the mean over the tiles at each pixel, weighted by how far it is
    from a tile's edge.

    Raises
    ------
    ValueError : `tile`, `overlap` or `batch_size` out of range.
    """
    if tile < 1 or not 0 <= overlap < 1 or batch_size < 1:
        raise ValueError(f"no tiles of side {tile} with an overlap of {overlap} in batches of {batch_size}")
    height, width = image.shape[1:]
    padded = _filled(_filled(image, 2, tile), 1, tile)
    window = _window(tile, image.device)
    places = [
        (top, left)
        for top in _starts(padded.shape[1], tile, overlap)
        for left in _starts(padded.shape[2], tile, overlap)
    ]
    total = None
    weight = torch.zeros(padded.shape[1:], device=image.device)
    for start in range(0, len(places), batch_size):
        batch = places[start : start + batch_size]
        tiles = torch.stack([padded[:, top : top + tile, left : left + tile] for top, left in batch])
        for (top, left), predicted in zip(batch, probabilities(tiles).float(), strict=True):
            if total is None:
                total = torch.zeros(len(predicted), *padded.shape[1:], device=image.device)
            total[:, top : top + tile, left : left + tile] += predicted * window
            weight[top : top + tile, left : left + tile] += window
    assert total is not None  # there is at least one tile
    return total.div_(weight)[:, :height, :width]


def _filled(image: torch.Tensor, dimension: int, tile: int) -> torch.Tensor:
    """(3, H, W) with the height (dimension 1) or width (2) brought to at least `tile`."""
    size = image.shape[dimension]
    missing = max(0, tile - size)
    if not missing:
        return image
    padding = (0, missing, 0, 0) if dimension == 2 else (0, 0, 0, missing)
    # A mirror has nothing to show beyond the image's other edge.
    mode = "reflect" if missing < size else "replicate"
    return F.pad(image.unsqueeze(0), padding, mode=mode).squeeze(0)


def _starts(size: int, tile: int, overlap: float) -> list[int]:
    """First pixels of the fewest tiles that cover `size` with this overlap, evenly spread."""
    stride = max(1, int(tile * (1 - overlap)))
    steps = math.ceil((size - tile) / stride)
    return [round(step * (size - tile) / steps) for step in range(steps + 1)] if steps else [0]


def _window(tile: int, device: torch.device) -> torch.Tensor:
    """float32 (tile, tile): 1 in the middle, falling towards the edges as a squared sine does.

    A product of two sides, so that tiles side by side blend alike in every row.
    """
    places = (torch.arange(tile, device=device) + 0.5) / tile
    side = FLOOR + (1 - FLOOR) * (math.pi * places).sin() ** 2
    return side[:, None] * side[None]
