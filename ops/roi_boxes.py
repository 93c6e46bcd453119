"""What the RoI operators share: boxes as RoIs, memory order, and the checks of their arguments."""

from collections.abc import Sequence
from typing import Any

import torch

from ops.checks import can_look, check_finite, check_float, check_number, check_together
from ops.direct import are_plain, define_direct

Boxes = torch.Tensor | Sequence[torch.Tensor]
"""RoIs (K, 5) as image index, x1, y1, x2, y2; or for each image its boxes (L, 4) as x1, y1, x2, y2."""

MOST_SAMPLES = 4096
"""Of sampling_ratio: the time is proportional to it."""


_direct_valid = define_direct(
    "direct_rois_valid(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, "
    "SymInt pooled_width, int sampling_ratio) -> bool",
    autocasts=False,
)


def are_good(
    input: torch.Tensor,
    boxes: Boxes,
    output_size: int | Sequence[int],
    spatial_scale: float,
    sampling_ratio: int = 0,
) -> bool:
    """Whether one pass finds the arguments of a RoI operator right. False also where it cannot be made: the
    slower checks then decide."""
    if not are_plain(input, boxes):
        return False
    try:
        return _direct_valid(input, boxes, spatial_scale, *as_pair(output_size), sampling_ratio)
    except (RuntimeError, ValueError):
        return False


def as_rois(boxes: Boxes) -> torch.Tensor:
    """RoIs (K, 5), in float64 if any box is and else in float32, so that image indices are exact."""
    if isinstance(boxes, torch.Tensor):
        return boxes
    double = any(of_image.dtype == torch.float64 for of_image in boxes)
    corners = torch.cat(list(boxes)).to(torch.float64 if double else torch.float32)
    images = [
        torch.full_like(of_image[:, :1], 0, dtype=corners.dtype) + i for i, of_image in enumerate(boxes)
    ]
    return torch.cat([torch.cat(images), corners], dim=1)


def as_pair(output_size: int | Sequence[int]) -> tuple[int, int]:
    """Height and width of an output size, which may be one number for both; numpy's integers are numbers."""
    if isinstance(output_size, int):
        return output_size, output_size
    if not hasattr(output_size, "__len__"):
        number: Any = output_size
        return number, number
    if len(output_size) == 1:
        return output_size[0], output_size[0]
    height, width = output_size
    return height, width


def in_order_of(like: torch.Tensor, tensor: torch.Tensor) -> torch.Tensor:
    """`tensor` (4-d) in the memory order, channels first or last, of `like`."""
    return tensor.contiguous(memory_format=memory_order(like))


def memory_order(tensor: torch.Tensor) -> torch.memory_format:
    """channels_last where a 4-d tensor is that and not also in the usual order."""
    last = not tensor.is_contiguous() and tensor.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last else torch.contiguous_format


def check_boxes(boxes: Boxes, images: int) -> None:
    """Check shapes and types of boxes, and that a list has an entry for each image. Raises ValueError."""
    if isinstance(boxes, torch.Tensor):
        check_float("boxes", boxes, (None, 5))
        return
    if not isinstance(boxes, Sequence) or len(boxes) != images:
        given = f"{len(boxes)} of them" if isinstance(boxes, Sequence) else type(boxes).__name__
        raise ValueError(
            f"boxes must be a tensor (K, 5) or a list of {images} tensors (L, 4), one per image, not {given}"
        )
    for i, of_image in enumerate(boxes):
        check_float(f"boxes[{i}]", of_image, (None, 4))
    check_together(**{f"boxes[{i}]": of_image for i, of_image in enumerate(boxes)})


def check_pooling(
    input: torch.Tensor, boxes: Boxes, output_size: int | Sequence[int], sampling_ratio: int = 0
) -> None:
    """Check what all RoI operators take. Raises ValueError."""
    check_float("input", input, (None, None, None, None))
    check_boxes(boxes, input.shape[0])
    if (
        not isinstance(output_size, int)
        and hasattr(output_size, "__len__")
        and len(output_size) not in (1, 2)
    ):
        raise ValueError(f"output_size must be a number or a height and a width, not {tuple(output_size)}")
    for side, size in zip(("height", "width"), as_pair(output_size), strict=True):
        check_number(f"output {side}", size, 1, 2**15)
    check_number("sampling_ratio", max(sampling_ratio, 0), 0, MOST_SAMPLES)


def check_pixels(input: torch.Tensor) -> None:
    """Check that positions in a channel of `input` (N, C, H, W) fit 32 bits. Raises ValueError."""
    # Not while compiling: the product would become a guard on both sizes. The kernels refuse it as well.
    if can_look(input) and input.shape[2] * input.shape[3] >= 2**31:
        raise ValueError(f"input must have fewer than 2**31 pixels, not {input.shape[2]} x {input.shape[3]}")


def check_scale(spatial_scale: float) -> None:
    """Check that a scale is finite and positive. Raises ValueError."""
    check_number("spatial_scale", spatial_scale, 1e-9, 1e9)


def check_rois(input: torch.Tensor, rois: torch.Tensor) -> None:
    """Check that RoIs (K, 5) are finite and their images exist. Synchronises a GPU. Raises ValueError."""
    check_together(input=input, boxes=rois)
    if not can_look(rois) or rois.shape[0] == 0:
        return
    images = rois[:, 0]
    if bool(torch.isfinite(rois).all() & ((images >= 0) & (images < input.shape[0])).all()):
        return  # one wait for a GPU; what follows says what is wrong
    check_finite("boxes", rois)
    low, high = (int(bound) for bound in rois[:, 0].aminmax())
    if low < 0 or high >= input.shape[0]:
        raise ValueError(f"boxes name images {low} to {high}, but input has {input.shape[0]} of them, from 0")
