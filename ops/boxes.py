"""Pairwise IoU of boxes and its variants.

Boxes are rows ``xyxy``: x1, y1, x2, y2 with x1 <= x2 and y1 <= y2, without any "+1 pixel".
"""

from typing import Protocol

import torch
from torch.overrides import handle_torch_function, has_torch_function

from ops import reference_boxes
from ops._library import Context, define, dual_of, pulled_back, register_derivative, tangent_of
from ops.box_formats import are_good
from ops.checks import INTEGERS, check_finite, check_float, check_ordered, check_together
from ops.direct import are_constant, define_direct
from ops.reference import computed

KINDS = {"iou": 0, "giou": 1, "diou": 2, "ciou": 3}

_pairwise_iou = define(
    "pairwise_iou(Tensor boxes1, Tensor boxes2, int kind) -> Tensor", reference_boxes.pairwise_iou
)
_direct_iou = define_direct("direct_pairwise_iou(Tensor boxes1, Tensor boxes2, int kind) -> Tensor")


@torch.library.register_fake("podium::pairwise_iou")
def _(boxes1: torch.Tensor, boxes2: torch.Tensor, kind: int) -> torch.Tensor:
    dtype = torch.float64 if boxes1.dtype == torch.float64 else torch.float32
    return boxes1.new_empty((boxes1.shape[0], boxes2.shape[0]), dtype=dtype)


class _KindContext(Context, Protocol):
    kind: int


def _keep_boxes(ctx: _KindContext, inputs: tuple, output: torch.Tensor) -> None:
    boxes1, boxes2, ctx.kind = inputs
    ctx.save_for_backward(boxes1, boxes2)


def _backward(ctx: _KindContext, grad: torch.Tensor) -> tuple:
    # Through the reference: differentiable again, and memory is needed in the backward pass only.
    def overlap(one: torch.Tensor, two: torch.Tensor) -> torch.Tensor:
        return reference_boxes.pairwise_iou(one, two, ctx.kind)

    return *pulled_back(overlap, ctx.saved_tensors, grad), None


def _tangent(primals: tuple, tangents: tuple, _: torch.Tensor) -> torch.Tensor | None:
    boxes = dual_of(primals[0], tangents[0]), dual_of(primals[1], tangents[1])
    return tangent_of(reference_boxes.pairwise_iou(*boxes, primals[2]))


register_derivative(_pairwise_iou, _backward, _keep_boxes, _tangent)
for _device in ("cpu", "cuda"):
    torch.library.register_autocast("podium::pairwise_iou", _device, torch.float32)


def box_iou(boxes1: torch.Tensor, boxes2: torch.Tensor, validate: bool = True) -> torch.Tensor:
    """Intersection over union of every pair.

    Parameters
    ----------
    boxes1, boxes2 : (N, 4) and (M, 4), xyxy, of any floating or integer types and on one device.
    validate : check the arguments; inner loops can do without.

    Returns
    -------
    (N, M): float64 where boxes are float64, otherwise float32, in which float16 and bfloat16 are computed,
    too (as torchvision); two tensors of integers are computed in float64. From 0 to 1; 0 where both boxes are
    empty (torchvision: NaN). Differentiable, twice.

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
    if are_constant(boxes1, boxes2):
        try:
            return _direct_iou(boxes1, boxes2, KINDS[kind])
        except RuntimeError:  # not of one floating type, or what the checks below say
            pass
    if has_torch_function((boxes1, boxes2)):
        public = {"iou": box_iou, "giou": box_giou, "diou": box_diou, "ciou": box_ciou}[kind]
        return handle_torch_function(public, (boxes1, boxes2), boxes1, boxes2, validate=validate)
    if _are_integers(boxes1) and _are_integers(boxes2):
        return _pairwise(boxes1.double(), boxes2.double(), kind, validate).float()
    if _are_integers(boxes1) and isinstance(boxes2, torch.Tensor):
        boxes1 = boxes1.to(computed(boxes2[:0]).dtype)
    if _are_integers(boxes2) and isinstance(boxes1, torch.Tensor):
        boxes2 = boxes2.to(computed(boxes1[:0]).dtype)
    if validate:
        for name, boxes in (("boxes1", boxes1), ("boxes2", boxes2)):
            check_float(name, boxes, (None, 4))
            if not are_good(boxes, finite=True):
                check_finite(name, boxes)
                check_ordered(name, boxes)
        check_together(boxes1=boxes1, boxes2=boxes2)
    if boxes1.dtype != boxes2.dtype:
        common = torch.promote_types(boxes1.dtype, boxes2.dtype)
        boxes1, boxes2 = boxes1.to(common), boxes2.to(common)
    return _pairwise_iou(boxes1, boxes2, KINDS[kind])


def _are_integers(boxes: object) -> bool:
    return isinstance(boxes, torch.Tensor) and boxes.dtype in INTEGERS
