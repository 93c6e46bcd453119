"""Boxes: area, format conversion, clipping, and pairwise IoU with its variants.

Boxes are rows of four numbers; unless said otherwise ``xyxy``: x1, y1, x2, y2 with x1 <= x2 and y1 <= y2,
without any "+1 pixel".
"""

from typing import Literal

import torch

from ops import reference_boxes
from ops._library import define, dual_of, register_derivative, tangent_of
from ops.checks import FLOATS, check_choice, check_finite, check_float, check_ordered, check_together

BoxFormat = Literal["xyxy", "xywh", "cxcywh"]
FORMATS = ("xyxy", "xywh", "cxcywh")
KINDS = {"iou": 0, "giou": 1, "diou": 2, "ciou": 3}

_pairwise_iou = define(
    "pairwise_iou(Tensor boxes1, Tensor boxes2, int kind) -> Tensor", reference_boxes.pairwise_iou
)


@torch.library.register_fake("podium::pairwise_iou")
def _(boxes1: torch.Tensor, boxes2: torch.Tensor, kind: int) -> torch.Tensor:
    dtype = torch.float64 if boxes1.dtype == torch.float64 else torch.float32
    return boxes1.new_empty((boxes1.shape[0], boxes2.shape[0]), dtype=dtype)


def _keep_boxes(ctx: torch.autograd.function.FunctionCtx, inputs: tuple, output: torch.Tensor) -> None:
    boxes1, boxes2, ctx.kind = inputs
    ctx.save_for_backward(boxes1, boxes2)


def _backward(ctx: torch.autograd.function.FunctionCtx, grad: torch.Tensor) -> tuple:
    # Through the reference: differentiable again, and memory is needed in the backward pass only.
    _, pull = torch.func.vjp(
        lambda one, two: reference_boxes.pairwise_iou(one, two, ctx.kind), *ctx.saved_tensors
    )
    return *pull(grad), None


def _tangent(primals: tuple, tangents: tuple, _: torch.Tensor) -> torch.Tensor:
    boxes = dual_of(primals[0], tangents[0]), dual_of(primals[1], tangents[1])
    return tangent_of(reference_boxes.pairwise_iou(*boxes, primals[2]))


register_derivative(_pairwise_iou, _backward, _keep_boxes, _tangent)
for _device in ("cpu", "cuda"):
    torch.library.register_autocast("podium::pairwise_iou", _device, torch.float32)


def box_iou(boxes1: torch.Tensor, boxes2: torch.Tensor, validate: bool = True) -> torch.Tensor:
    """Intersection over union of every pair.

    Parameters
    ----------
    boxes1, boxes2 : (N, 4) and (M, 4), xyxy, of one floating type and on one device.
    validate : check the arguments; inner loops can do without.

    Returns
    -------
    (N, M): float64 for float64 boxes, otherwise float32, in which float16 and bfloat16 are computed, too (as
    torchvision). From 0 to 1; 0 where both boxes are empty (torchvision: NaN). Differentiable, twice.

    Raises
    ------
    ValueError
        On a wrong shape, type or device, NaN, infinity, or a box with x2 < x1 or y2 < y1.
    """
    return _pairwise(boxes1, boxes2, "iou", validate)


def box_giou(boxes1: torch.Tensor, boxes2: torch.Tensor, validate: bool = True) -> torch.Tensor:
    """Generalised IoU of every pair (arXiv 1902.09630), from -1 to 1: IoU minus the unused share of the
    common hull.

    Arguments, result and errors as `box_iou`.
    """
    return _pairwise(boxes1, boxes2, "giou", validate)


def box_diou(boxes1: torch.Tensor, boxes2: torch.Tensor, validate: bool = True) -> torch.Tensor:
    """Distance IoU of every pair (arXiv 1911.08287): IoU minus the squared distance of the centres, as a
    share of the squared diagonal of the common hull.

    Arguments, result and errors as `box_iou`. There is no epsilon in the denominator, so results differ from
    torchvision's by about 1e-7 / diagonal^2.
    """
    return _pairwise(boxes1, boxes2, "diou", validate)


def box_ciou(boxes1: torch.Tensor, boxes2: torch.Tensor, validate: bool = True) -> torch.Tensor:
    """Complete IoU of every pair (arXiv 1911.08287): DIoU minus the weighted difference of the aspect ratios.

    Arguments, result and errors as `box_iou`. The gradient is the derivative of the value, through the weight
    of the aspect term, too, which torchvision holds constant.
    """
    return _pairwise(boxes1, boxes2, "ciou", validate)


def _pairwise(boxes1: torch.Tensor, boxes2: torch.Tensor, kind: str, validate: bool) -> torch.Tensor:
    if validate:
        for name, boxes in (("boxes1", boxes1), ("boxes2", boxes2)):
            check_float(name, boxes, (None, 4))
            check_finite(name, boxes)
            check_ordered(name, boxes)
        check_together(boxes1=boxes1, boxes2=boxes2)
        if boxes1.dtype != boxes2.dtype:
            raise ValueError(f"boxes2 is {boxes2.dtype} and boxes1 {boxes1.dtype}: convert one of them")
    return _pairwise_iou(boxes1, boxes2, KINDS[kind])


def box_area(boxes: torch.Tensor, validate: bool = True) -> torch.Tensor:
    """Areas (...) of boxes (..., 4) in xyxy, differentiable; float16 and bfloat16 give float32."""
    if validate:
        _check_rows(boxes)
        check_ordered("boxes", boxes)
    size = boxes[..., 2:] - boxes[..., :2]
    if size.dtype in (torch.float16, torch.bfloat16):
        size = size.float()
    return size[..., 0] * size[..., 1]


def box_convert(
    boxes: torch.Tensor, in_format: BoxFormat, out_format: BoxFormat, validate: bool = True
) -> torch.Tensor:
    """Boxes (..., 4) in another format, as a new tensor of the same type. Differentiable.

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
    for name, form in (("in_format", in_format), ("out_format", out_format)):
        check_choice(name, form, FORMATS)
    if validate:
        _check_rows(boxes)
    first, second = boxes[..., :2], boxes[..., 2:]
    if validate and in_format == "xyxy":
        check_ordered("boxes", boxes)
    elif validate:
        check_sizes("boxes", second)
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


def clip_boxes(boxes: torch.Tensor, size: tuple[int, int], validate: bool = True) -> torch.Tensor:
    """Boxes (..., 4) in xyxy cut to an image of `size` (height, width), as a new tensor. Differentiable.

    Raises ValueError on a wrong shape or type, or a negative size.
    """
    height, width = size
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
    if not isinstance(boxes, torch.Tensor) or boxes.dtype not in FLOATS:
        kind = boxes.dtype if isinstance(boxes, torch.Tensor) else type(boxes).__name__
        raise ValueError(f"boxes must be a float16, bfloat16, float32 or float64 tensor, not {kind}")
    if boxes.dim() < 1 or boxes.shape[-1] != 4:
        raise ValueError(f"boxes must have shape (..., 4), not {tuple(boxes.shape)}")
