"""Rotated boxes: pairwise IoU and non-maximum suppression.

A rotated box is a row cx, cy, w, h, degrees: centre, size, and the angle by which it is turned about its
centre, counter-clockwise as seen in an image, whose y axis points down (the convention of torchvision and
detectron2). Its corners are at (cx + c*u + s*v, cy - s*u + c*v) for u = -+w/2, v = -+h/2 and c, s the cosine
and sine of the angle.
"""

import torch
from torch.overrides import handle_torch_function, has_torch_function

from ops import reference_rotated
from ops._library import Context, define, dual_of, pulled_back, register_derivative, tangent_of
from ops.box_formats import check_sizes
from ops.checks import (
    check_finite,
    check_float,
    check_number,
    check_same_length,
    check_scores,
    check_together,
)
from ops.direct import are_constant, define_direct, traceable

_box_iou_rotated = define(
    "box_iou_rotated(Tensor boxes1, Tensor boxes2) -> Tensor", reference_rotated.box_iou_rotated
)
_direct_iou = define_direct("direct_box_iou_rotated(Tensor boxes1, Tensor boxes2) -> Tensor")
_nms_rotated = define(
    "nms_rotated(Tensor boxes, Tensor scores, float iou_threshold) -> Tensor", reference_rotated.nms_rotated
)


@torch.library.register_fake("podium::box_iou_rotated")
def _(boxes1: torch.Tensor, boxes2: torch.Tensor) -> torch.Tensor:
    dtype = torch.float64 if boxes1.dtype == torch.float64 else torch.float32
    return boxes1.new_empty((boxes1.shape[0], boxes2.shape[0]), dtype=dtype)


@torch.library.register_fake("podium::nms_rotated")
def _(boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    kept = torch.library.get_ctx().new_dynamic_size()
    return boxes.new_empty((kept,), dtype=torch.int64)


def _keep_boxes(ctx: Context, inputs: tuple, output: torch.Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _backward(ctx: Context, grad: torch.Tensor) -> tuple:
    return tuple(pulled_back(reference_rotated.box_iou_rotated, ctx.saved_tensors, grad))


def _tangent(primals: tuple, tangents: tuple, _: torch.Tensor) -> torch.Tensor | None:
    boxes = [dual_of(primal, tangent) for primal, tangent in zip(primals, tangents, strict=True)]
    return tangent_of(reference_rotated.box_iou_rotated(*boxes))


register_derivative(_box_iou_rotated, _backward, _keep_boxes, _tangent)
for _device in ("cpu", "cuda"):
    torch.library.register_autocast("podium::box_iou_rotated", _device, torch.float32)
    torch.library.register_autocast("podium::nms_rotated", _device, torch.float32)


def box_iou_rotated(boxes1: torch.Tensor, boxes2: torch.Tensor, validate: bool = True) -> torch.Tensor:
    """Intersection over union of every pair of rotated boxes.

    Parameters
    ----------
    boxes1, boxes2 : (N, 5) and (M, 5): cx, cy, w, h, degrees; of one floating type and on one device.
    validate : check the arguments; inner loops can do without.

    Returns
    -------
    (N, M): float64 for float64 boxes, otherwise float32, in which float16 and bfloat16 are computed, too.
    From 0 to 1; 0 for an empty box. Differentiable, once: the gradient is that of the common area, and some
    one-sided derivative where edges coincide.

    Raises
    ------
    ValueError
        On a wrong shape, type or device, NaN, infinity, or a negative size.
    """
    if are_constant(boxes1, boxes2):
        try:
            return _direct_iou(boxes1, boxes2)
        except RuntimeError:  # the checks below say why
            pass
    if has_torch_function((boxes1, boxes2)):
        tensors = boxes1, boxes2
        return handle_torch_function(box_iou_rotated, tensors, *tensors, validate=validate)
    if validate:
        _check_boxes("boxes1", boxes1)
        _check_boxes("boxes2", boxes2)
        check_together(boxes1=boxes1, boxes2=boxes2)
        if boxes1.dtype != boxes2.dtype:
            raise ValueError(f"boxes2 is {boxes2.dtype} and boxes1 {boxes1.dtype}: convert one of them")
    return _box_iou_rotated(boxes1, boxes2)


@traceable
def nms_rotated(
    boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float, validate: bool = True
) -> torch.Tensor:
    """Non-maximum suppression of rotated boxes.

    Parameters
    ----------
    boxes : (N, 5): cx, cy, w, h, degrees.
    scores : (N,), of any floating type.
    iou_threshold : a box goes when its IoU with a kept box of a higher score is greater than this; equality
        survives.
    validate : check the arguments; inner loops can do without. Without it, NaN scores come last, and a box
        with a NaN or without area is always kept.

    Returns
    -------
    int64 indices of the kept boxes, by descending score; of equal scores, the lower index first.

    Raises
    ------
    ValueError
        On a wrong shape, type or device, NaN, infinity, a negative size, or a threshold below 0; a score
        of -infinity is none of these.
    """
    if validate:
        _check_boxes("boxes", boxes)
        check_float("scores", scores, (None,))
        check_same_length(boxes=boxes, scores=scores)
        check_together(boxes=boxes, scores=scores)
        check_scores("scores", scores)
        check_number("iou_threshold", iou_threshold, 0, float("inf"))
    return _nms_rotated(boxes, scores, iou_threshold)


def _check_boxes(name: str, boxes: torch.Tensor) -> None:
    check_float(name, boxes, (None, 5))
    check_finite(name, boxes)
    check_sizes(name, boxes[:, 2:4])
