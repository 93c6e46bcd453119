"""Boxes one by one: area, format conversion, clipping.

Boxes are rows of four numbers; unless said otherwise ``xyxy``: x1, y1, x2, y2 with x1 <= x2 and y1 <= y2,
without any "+1 pixel".
"""

from typing import Literal

import torch
from torch.overrides import handle_torch_function, has_torch_function

from ops.checks import FLOATS, INTEGERS, check_choice, check_ordered
from ops.direct import are_constant, are_plain, define_direct, traceable

BoxFormat = Literal["xyxy", "xywh", "cxcywh"]
FORMATS = ("xyxy", "xywh", "cxcywh")

_direct_area = define_direct("direct_box_area(Tensor boxes) -> Tensor", autocasts=False)
_direct_valid = define_direct(
    "direct_boxes_valid(Tensor boxes, bool finite, bool sizes) -> bool", autocasts=False
)


def are_good(boxes: torch.Tensor, *, finite: bool = False, sizes: bool = False) -> bool:
    """Whether one pass over boxes (..., 4) finds them ordered, their sizes not negative where they are xywh,
    and finite if so asked. False also where it cannot be made: the slower checks then decide."""
    return are_plain(boxes, boxes) and _direct_valid(boxes, finite, sizes)


def box_area(boxes: torch.Tensor, validate: bool = True) -> torch.Tensor:
    """Areas (...) of boxes (..., 4) in xyxy, differentiable.

    float16 and bfloat16 give float32; integers of less than 32 bits give int32, others their own type.
    Raises ValueError on another shape or type, or inverted boxes.
    """
    if are_constant(boxes, boxes):
        try:
            return _direct_area(boxes)
        except RuntimeError:  # an integer type, or what the checks below say
            pass
    if has_torch_function((boxes,)):
        return handle_torch_function(box_area, (boxes,), boxes, validate=validate)
    if validate and not are_good(boxes):
        _check_rows(boxes)
        check_ordered("boxes", boxes)
    if boxes.dtype in (torch.uint8, torch.int8, torch.int16):
        boxes = boxes.int()
    size = boxes[..., 2:] - boxes[..., :2]
    if size.dtype in (torch.float16, torch.bfloat16):
        size = size.float()
    return size[..., 0] * size[..., 1]


@traceable
def box_convert(
    boxes: torch.Tensor, in_format: BoxFormat, out_format: BoxFormat, validate: bool = True
) -> torch.Tensor:
    """Boxes (..., 4) in another format, as a new tensor of the same type. Differentiable.

    Integers give float32 where a half may come of them, to and from centres.

    Parameters
    ----------
    boxes : (..., 4) in `in_format`.
    in_format, out_format : xyxy; xywh: left, top, width, height; cxcywh: centre, width, height.
    validate : check the arguments.

    Raises
    ------
    ValueError
        On a wrong shape or type, an unknown format, or negative sizes.
    """
    if in_format not in FORMATS or out_format not in FORMATS:
        check_choice("in_format", in_format, FORMATS)
        check_choice("out_format", out_format, FORMATS)
    if validate and not are_good(boxes, sizes=in_format != "xyxy"):
        _check_rows(boxes)
        if in_format == "xyxy":
            check_ordered("boxes", boxes)
        else:
            check_sizes("boxes", boxes[..., 2:])
    first, second = boxes[..., :2], boxes[..., 2:]
    if in_format == out_format:
        return boxes.clone()
    size = second - first if in_format == "xyxy" else second
    if out_format == "cxcywh":
        centre = (first + second) / 2 if in_format == "xyxy" else first + size / 2
        return torch.cat((centre, size), dim=-1)
    low = first - size / 2 if in_format == "cxcywh" else first
    if out_format == "xywh":
        return torch.cat((low, size), dim=-1)
    high = first + size / 2 if in_format == "cxcywh" else first + size
    return torch.cat((low, high), dim=-1)


@traceable
def clip_boxes(boxes: torch.Tensor, size: tuple[int, int], validate: bool = True) -> torch.Tensor:
    """Boxes (..., 4) in xyxy cut to an image of `size` (height, width), as a new tensor. Differentiable.

    No boxes may be of shape (0,), too. Raises ValueError on a wrong shape or type, or a negative size.
    """
    height, width = size
    if isinstance(boxes, torch.Tensor) and boxes.dim() == 1 and boxes.shape[0] == 0:
        return boxes.clone()
    if validate:
        _check_rows(boxes)
        if not (height >= 0 and width >= 0):
            raise ValueError(f"size must be (height, width), both at least 0, not {size}")
    x, y = boxes[..., 0::2].clamp(0, width), boxes[..., 1::2].clamp(0, height)
    return torch.stack((x, y), dim=-1).flatten(-2)


def check_sizes(name: str, sizes: torch.Tensor) -> None:
    """Check that widths and heights (..., 2) are not negative. Raises ValueError naming the first bad row."""
    corner = torch.zeros_like(sizes)
    try:
        check_ordered(name, torch.cat((corner, sizes), dim=-1))
    except ValueError as error:
        row = str(error).partition("first in row ")[2].partition(":")[0]
        raise ValueError(f"{name} has a negative width or height, first in row {row}") from None


def _check_rows(boxes: torch.Tensor) -> None:
    if not isinstance(boxes, torch.Tensor) or boxes.dtype not in FLOATS + INTEGERS:
        kind = boxes.dtype if isinstance(boxes, torch.Tensor) else type(boxes).__name__
        raise ValueError(f"boxes must be a float16, bfloat16, float32, float64 or integer tensor, not {kind}")
    if boxes.dim() < 1 or boxes.shape[-1] != 4:
        raise ValueError(f"boxes must have shape (..., 4), not {tuple(boxes.shape)}")
