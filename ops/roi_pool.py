"""RoI max pooling."""

from collections.abc import Sequence

import torch
from torch.overrides import handle_torch_function, has_torch_function

from ops import reference_roi
from ops._library import define, register_derivative, tangent_of_linear
from ops.checks import check_float
from ops.direct import are_constant, define_direct
from ops.reference import computed
from ops.roi_boxes import (
    Boxes,
    are_good,
    as_pair,
    as_rois,
    check_pixels,
    check_pooling,
    check_rois,
    check_scale,
    memory_order,
)

_roi_pool = define(
    "roi_pool(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, SymInt pooled_width)"
    " -> (Tensor, Tensor)",
    reference_roi.roi_pool,
)
_direct_roi_pool = define_direct(
    "direct_roi_pool(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, "
    "SymInt pooled_width) -> Tensor"
)
_roi_pool_backward = define(
    "roi_pool_backward(Tensor grad, Tensor argmax, Tensor rois, SymInt batch, SymInt channels, SymInt height,"
    " SymInt width) -> Tensor",
    reference_roi.roi_pool_backward,
)


@torch.library.register_fake("podium::roi_pool")
def _(input, rois, spatial_scale, pooled_height, pooled_width):
    shape, order = (rois.shape[0], input.shape[1], pooled_height, pooled_width), memory_order(input)
    out = torch.empty(shape, dtype=input.dtype, device=input.device, memory_format=order)
    return out, torch.empty(shape, dtype=torch.int32, device=input.device, memory_format=order)


@torch.library.register_fake("podium::roi_pool_backward")
def _(grad, argmax, rois, batch, channels, height, width):
    shape = (batch, channels, height, width)
    return torch.empty(shape, dtype=grad.dtype, device=grad.device, memory_format=memory_order(grad))


def _keep(ctx, inputs, output):
    input, rois, *_ = inputs
    ctx.save_for_backward(output[1], rois)
    ctx.shape = input.shape


def _gradient(ctx, grad, _):
    argmax, rois = ctx.saved_tensors
    return _roi_pool_backward(grad, argmax, rois, *ctx.shape), *[None] * 4


def _keep_backward(ctx, inputs, output):
    _, argmax, rois, *_ = inputs
    ctx.save_for_backward(argmax, rois)


def _gradient_of_backward(ctx, grad):
    return _taken(grad, *ctx.saved_tensors), *[None] * 6


def _taken(input: torch.Tensor, argmax: torch.Tensor, rois: torch.Tensor) -> torch.Tensor:
    """What `input` (N, C, H, W) has at positions (K, C, height, width), 0 where there is none."""
    images, pixels = input.shape[0], input.shape[2] * input.shape[3]
    image = computed(rois[:, 0])
    found = ((image > -1) & (image < images))[:, None, None, None] & (argmax >= 0) & (argmax < pixels)
    planes = input.flatten(2)[image.nan_to_num(nan=0).clamp(0, max(images - 1, 0)).long()]
    values = planes.gather(2, argmax.where(found, 0).flatten(2).long()).reshape(argmax.shape)
    return values.where(found, 0)


def _tangent(primals: tuple, tangents: tuple, result: tuple) -> torch.Tensor:
    if tangents[1] is not None:
        raise NotImplementedError("podium.roi_pool has no derivative but with respect to its first argument")
    return _taken(tangents[0], result[1], primals[1])


register_derivative(_roi_pool, _gradient, _keep, _tangent)
register_derivative(
    _roi_pool_backward, _gradient_of_backward, _keep_backward, tangent_of_linear(_roi_pool_backward)
)
for _device in ("cpu", "cuda"):
    torch.library.register_autocast("podium::roi_pool", _device, torch.float32)


def roi_pool(
    input: torch.Tensor,
    boxes: Boxes,
    output_size: int | Sequence[int],
    spatial_scale: float = 1.0,
    validate: bool = True,
) -> torch.Tensor:
    """RoI max pooling (Fast R-CNN, arXiv 1504.08083).

    Corners are scaled and rounded, half away from zero, and the last pixel belongs to the RoI, which has at
    least one. Bins are cut to the image; the maximum of an empty one is 0. Of equal maxima the first in
    reading order takes the gradient. NaN is never a maximum; a bin of nothing else gives -infinity.

    Parameters
    ----------
    input : (N, C, H, W), any floating type; H * W is less than 2**31.
    boxes : (K, 5) as image index, x1, y1, x2, y2; or a list of N tensors (L, 4) as x1, y1, x2, y2. Any
        floating type.
    output_size : bins, as one number or as height and width.
    spatial_scale : factor from the coordinates of `boxes` to those of `input`.
    validate : check the arguments. Reading the values of `boxes` waits for a GPU.

    Returns
    -------
    (K, C, height, width) of input's type, channels last if input is. Differentiable in `input`.

    Raises
    ------
    ValueError : wrong shapes, types or devices; NaN, infinity or an image that does not exist in `boxes`.
        Without `validate`, a RoI whose image does not exist gives zeros, and others pool what is left.
    """
    if are_constant(input, boxes):
        try:
            return _direct_roi_pool(input, boxes, spatial_scale, *as_pair(output_size))
        except (RuntimeError, ValueError):  # the checks below say why
            pass
    if has_torch_function((input, boxes)):
        return handle_torch_function(
            roi_pool, (input, boxes), input, boxes, output_size, spatial_scale, validate=validate
        )
    if validate:
        check_float("input", input, (None, None, None, None))
        check_pixels(input)
        validate = not are_good(input, boxes, output_size, spatial_scale)
    if validate:
        check_pooling(input, boxes, output_size)
        check_scale(spatial_scale)
    rois = as_rois(boxes)
    if validate:
        check_rois(input, rois)
    height, width = as_pair(output_size)
    return _roi_pool(input, rois, spatial_scale, height, width)[0]
