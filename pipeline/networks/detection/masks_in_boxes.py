"""Between masks of an image's size and the small square masks in boxes that Mask R-CNN (arXiv 1703.06870)
learns and predicts."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F

import ops

AT_ONCE = 2**24
"""Pixels of all masks that are pasted at a time: about 400 MB."""


def mask_targets(
    masks: Sequence[torch.Tensor], boxes: Sequence[torch.Tensor], matches: Sequence[torch.Tensor], side: int
) -> torch.Tensor:
    """Float32 (sum of R, side, side), from 0 to 1: the part of a mask inside a box.

    Parameters
    ----------
    masks : for each image (K, H, W), 0 or 1.
    boxes : for each image (R, 4).
    matches : for each image (R,): the mask that belongs to a box.
    """
    found = []
    for of_image, places, rows in zip(masks, boxes, matches, strict=True):
        used, row = rows.unique(return_inverse=True)  # fewer masks to convert to numbers
        rois = torch.cat((row[:, None].to(places), places), dim=1)
        images = of_image[used, None].float()
        # With no mask there is no box either; the operator wants an image all the same.
        images = images if len(images) else images.new_zeros(1, 1, *of_image.shape[1:])
        found.append(ops.roi_align(images, rois, side, aligned=True, validate=False)[:, 0])
    return torch.cat(found)


def paste(shares: torch.Tensor, boxes: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Bool (K, height, width): where masks of boxes are at least one half, interpolated bilinearly.

    Parameters
    ----------
    shares : (K, side, side), from 0 to 1.
    boxes : (K, 4); there is nothing outside of them.
    size : height and width of the result.
    """
    height, width = size
    y = torch.arange(height, device=boxes.device) + 0.5
    x = torch.arange(width, device=boxes.device) + 0.5
    parts = max(1, AT_ONCE // (height * width))
    pairs = zip(shares.split(parts), boxes.split(parts), strict=True)
    return torch.cat([_paste(*pair, y, x) for pair in pairs])


def _paste(shares: torch.Tensor, boxes: torch.Tensor, y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    left, top, right, bottom = (side[:, None] for side in boxes.unbind(dim=1))
    across = 2 * (x - left) / (right - left) - 1  # (K, W), -1 to 1 inside the box
    down = 2 * (y - top) / (bottom - top) - 1
    grid = torch.stack(torch.broadcast_tensors(across[:, None, :], down[:, :, None]), dim=-1)  # (K, H, W, 2)
    # Beyond the centres of the outermost cells their values hold, not a fade to 0.
    values = F.grid_sample(shares[:, None], grid, padding_mode="border", align_corners=False)[:, 0]
    inside = (across.abs() <= 1)[:, None, :] & (down.abs() <= 1)[:, :, None]
    return (values >= 0.5) & inside
