"""Position-sensitive RoI pooling: bin b of output channel c is pooled from input channel c * bins + b."""

from collections.abc import Sequence

import torch
from torch.overrides import handle_torch_function, has_torch_function

from ops import reference_roi
from ops._library import define, register_derivative, tangent_of_linear
from ops.direct import are_constant, define_direct
from ops.roi_boxes import Boxes, as_pair, as_rois, check_pooling, check_rois, check_scale, memory_order

_BINS = "float spatial_scale, SymInt pooled_height, SymInt pooled_width"
_SIZE = "SymInt batch, SymInt channels, SymInt height, SymInt width"
_ps_roi_align = define(
    f"ps_roi_align(Tensor input, Tensor rois, {_BINS}, int sampling_ratio) -> Tensor",
    reference_roi.ps_roi_align,
)
_ps_roi_align_backward = define(
    f"ps_roi_align_backward(Tensor grad, Tensor rois, {_BINS}, int sampling_ratio, {_SIZE}) -> Tensor",
    reference_roi.ps_roi_align_backward,
)
_ps_roi_pool = define(f"ps_roi_pool(Tensor input, Tensor rois, {_BINS}) -> Tensor", reference_roi.ps_roi_pool)
_ps_roi_pool_backward = define(
    f"ps_roi_pool_backward(Tensor grad, Tensor rois, {_BINS}, {_SIZE}) -> Tensor",
    reference_roi.ps_roi_pool_backward,
)
_direct_ps_roi_align = define_direct(
    f"direct_ps_roi_align(Tensor input, Tensor rois, {_BINS}, int sampling_ratio) -> Tensor"
)
_direct_ps_roi_pool = define_direct(f"direct_ps_roi_pool(Tensor input, Tensor rois, {_BINS}) -> Tensor")


def _fake_forward(input, rois, spatial_scale, pooled_height, pooled_width, *_):
    shape = (rois.shape[0], input.shape[1] // (pooled_height * pooled_width), pooled_height, pooled_width)
    return torch.empty(shape, dtype=input.dtype, device=input.device, memory_format=memory_order(input))


def _fake_backward(grad, rois, *how_and_size):
    return torch.empty(
        how_and_size[-4:], dtype=grad.dtype, device=grad.device, memory_format=memory_order(grad)
    )


def _register(name: str, forward: torch._ops.OpOverload, backward: torch._ops.OpOverload) -> None:
    """Fake kernels, derivatives and autocast of one of the two pairs."""

    def keep(ctx, inputs, output):
        image, rois, *ctx.how = inputs
        ctx.save_for_backward(rois)
        ctx.shape = image.shape

    def gradient(ctx, grad):
        (rois,) = ctx.saved_tensors
        return backward(grad, rois, *ctx.how, *ctx.shape), *[None] * (1 + len(ctx.how))

    def keep_backward(ctx, inputs, output):
        _, rois, *ctx.how = inputs
        ctx.save_for_backward(rois)

    def gradient_of_backward(ctx, grad):
        # The operator is linear in its first argument, so the derivative of the transpose is the operator.
        (rois,) = ctx.saved_tensors
        return forward(grad, rois, *ctx.how[:-4]), *[None] * (1 + len(ctx.how))

    torch.library.register_fake(f"podium::{name}")(_fake_forward)
    torch.library.register_fake(f"podium::{name}_backward")(_fake_backward)
    register_derivative(forward, gradient, keep, tangent_of_linear(forward))
    register_derivative(backward, gradient_of_backward, keep_backward, tangent_of_linear(backward))
    for device in ("cpu", "cuda"):
        torch.library.register_autocast(f"podium::{name}", device, torch.float32)


_register("ps_roi_align", _ps_roi_align, _ps_roi_align_backward)
_register("ps_roi_pool", _ps_roi_pool, _ps_roi_pool_backward)


def ps_roi_align(
    input: torch.Tensor,
    boxes: Boxes,
    output_size: int | Sequence[int],
    spatial_scale: float = 1.0,
    sampling_ratio: int = -1,
    validate: bool = True,
) -> torch.Tensor:
    """Position-sensitive RoIAlign (Light-Head R-CNN, arXiv 1711.07264).

    Parameters
    ----------
    input : (N, C, H, W), any floating type; C is a multiple of the number of bins.
    boxes, output_size, spatial_scale, sampling_ratio, validate : as for `ops.roi.roi_align`. Half a pixel is
        always taken off the coordinates, and sizes are not raised to one pixel.

    Returns
    -------
    (K, C / bins, height, width) of input's type. A bin without samples is 0 (torchvision: NaN).

    Raises
    ------
    ValueError : as `ops.roi.roi_align`, and where C is not a multiple of the bins.
    """
    if are_constant(input, boxes):
        try:
            return _direct_ps_roi_align(input, boxes, spatial_scale, *as_pair(output_size), sampling_ratio)
        except (RuntimeError, ValueError):  # the checks below say why
            pass
    if has_torch_function((input, boxes)):
        return handle_torch_function(
            ps_roi_align,
            (input, boxes),
            input,
            boxes,
            output_size,
            spatial_scale,
            sampling_ratio,
            validate=validate,
        )
    rois, height, width = _prepared(input, boxes, output_size, spatial_scale, sampling_ratio, validate)
    return _ps_roi_align(input, rois, spatial_scale, height, width, sampling_ratio)


def ps_roi_pool(
    input: torch.Tensor,
    boxes: Boxes,
    output_size: int | Sequence[int],
    spatial_scale: float = 1.0,
    validate: bool = True,
) -> torch.Tensor:
    """Position-sensitive average pooling of whole pixels (R-FCN, arXiv 1605.06409).

    Corners are scaled and rounded, half away from zero; the RoI ends before its last corner's pixel and has
    at least one. Bins are cut to the image, and the mean of an empty one is 0. (torchvision's forward,
    unlike its backward, never pools the last row and column of the image.)

    Parameters and errors are those of `ps_roi_align`. Returns (K, C / bins, height, width).
    """
    if are_constant(input, boxes):
        try:
            return _direct_ps_roi_pool(input, boxes, spatial_scale, *as_pair(output_size))
        except (RuntimeError, ValueError):  # the checks below say why
            pass
    if has_torch_function((input, boxes)):
        return handle_torch_function(
            ps_roi_pool, (input, boxes), input, boxes, output_size, spatial_scale, validate=validate
        )
    rois, height, width = _prepared(input, boxes, output_size, spatial_scale, 0, validate)
    return _ps_roi_pool(input, rois, spatial_scale, height, width)


def _prepared(
    input: torch.Tensor,
    boxes: Boxes,
    output_size: int | Sequence[int],
    scale: float,
    ratio: int,
    validate: bool,
) -> tuple[torch.Tensor, int, int]:
    """The RoIs, and the output's height and width, checked if asked."""
    if validate:
        check_pooling(input, boxes, output_size, ratio)
        check_scale(scale)
        height, width = as_pair(output_size)
        if input.shape[1] % (height * width):
            raise ValueError(
                f"input has {input.shape[1]} channels, which is no multiple of {height} x {width} bins"
            )
    rois = as_rois(boxes)
    if validate:
        check_rois(input, rois)
    return rois, *as_pair(output_size)
