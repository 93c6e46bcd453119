"""RoIAlign, on one feature map and on the levels of a feature pyramid."""

import math
from collections.abc import Sequence

import torch
from torch.overrides import handle_torch_function, has_torch_function

from ops import reference_roi
from ops._library import define, register_derivative, tangent_of_linear
from ops.checks import check_number, check_together
from ops.direct import are_constant, define_direct, traceable
from ops.reference import computed
from ops.roi_boxes import (
    Boxes,
    are_good,
    as_pair,
    as_rois,
    check_pooling,
    check_rois,
    check_scale,
    memory_order,
)

_HOW = "float spatial_scale, SymInt pooled_height, SymInt pooled_width, int sampling_ratio, bool aligned"
_roi_align = define(f"roi_align(Tensor input, Tensor rois, {_HOW}) -> Tensor", reference_roi.roi_align)
_roi_align_backward = define(
    f"roi_align_backward(Tensor grad, Tensor rois, {_HOW}, SymInt batch, SymInt channels, SymInt height,"
    " SymInt width) -> Tensor",
    reference_roi.roi_align_backward,
)
_direct_roi_align = define_direct(f"direct_roi_align(Tensor input, Tensor rois, {_HOW}) -> Tensor")
_LEVELS = (
    "Tensor[] inputs, Tensor rois, Tensor levels, float[] scales, SymInt pooled_height, SymInt pooled_width,"
    " int sampling_ratio, bool aligned"
)
_multiscale = define(f"multiscale_roi_align({_LEVELS}) -> Tensor", reference_roi.multiscale_roi_align)
_multiscale_backward = define(
    f"multiscale_roi_align_backward(Tensor grad, {_LEVELS}) -> Tensor[]",
    reference_roi.multiscale_roi_align_backward,
)


@torch.library.register_fake("podium::roi_align")
def _(input, rois, spatial_scale, pooled_height, pooled_width, sampling_ratio, aligned):
    shape = (rois.shape[0], input.shape[1], pooled_height, pooled_width)
    return torch.empty(shape, dtype=input.dtype, device=input.device, memory_format=memory_order(input))


@torch.library.register_fake("podium::roi_align_backward")
def _(
    grad, rois, scale, pooled_height, pooled_width, sampling_ratio, aligned, batch, channels, height, width
):
    shape = (batch, channels, height, width)
    return torch.empty(shape, dtype=grad.dtype, device=grad.device, memory_format=memory_order(grad))


@torch.library.register_fake("podium::multiscale_roi_align")
def _(inputs, rois, levels, scales, pooled_height, pooled_width, sampling_ratio, aligned):
    first = inputs[0]
    shape = (rois.shape[0], first.shape[1], pooled_height, pooled_width)
    return torch.empty(shape, dtype=first.dtype, device=first.device, memory_format=memory_order(first))


@torch.library.register_fake("podium::multiscale_roi_align_backward")
def _(grad, inputs, rois, levels, scales, pooled_height, pooled_width, sampling_ratio, aligned):
    order = memory_order(grad)
    return [torch.empty(i.shape, dtype=grad.dtype, device=grad.device, memory_format=order) for i in inputs]


def _keep(ctx, inputs, output):
    image, rois, *ctx.how = inputs
    ctx.save_for_backward(rois)
    ctx.shape = image.shape


def _gradient(ctx, grad):
    (rois,) = ctx.saved_tensors
    return _roi_align_backward(grad, rois, *ctx.how, *ctx.shape), *[None] * 6


def _keep_backward(ctx, inputs, output):
    _, rois, *ctx.how = inputs
    ctx.save_for_backward(rois)


def _gradient_of_backward(ctx, grad):
    # The operator is linear in its first argument, so the derivative of the transpose is the operator.
    (rois,) = ctx.saved_tensors
    return _roi_align(grad, rois, *ctx.how[:5]), *[None] * 10


def _keep_multiscale(ctx, inputs, output):
    images, rois, levels, *ctx.how = inputs
    ctx.save_for_backward(rois, levels, *images)


def _gradient_of_multiscale(ctx, grad):
    rois, levels, *images = ctx.saved_tensors
    return _multiscale_backward(grad, images, rois, levels, *ctx.how), *[None] * 7


def _keep_multiscale_backward(ctx, inputs, output):
    _, images, rois, levels, *ctx.how = inputs
    ctx.save_for_backward(rois, levels)
    ctx.levels = len(images)


def _gradient_of_multiscale_backward(ctx, grads):
    rois, levels = ctx.saved_tensors
    return _multiscale(grads, rois, levels, *ctx.how), [None] * ctx.levels, *[None] * 7


for _operator, _its_gradient, _its_keep in (
    (_roi_align, _gradient, _keep),
    (_roi_align_backward, _gradient_of_backward, _keep_backward),
    (_multiscale, _gradient_of_multiscale, _keep_multiscale),
):
    register_derivative(_operator, _its_gradient, _its_keep, tangent_of_linear(_operator))
register_derivative(
    _multiscale_backward,
    _gradient_of_multiscale_backward,
    _keep_multiscale_backward,
    tangent_of_linear(_multiscale_backward, unread=(1,)),
)
for _device in ("cpu", "cuda"):
    torch.library.register_autocast("podium::roi_align", _device, torch.float32)
    torch.library.register_autocast("podium::multiscale_roi_align", _device, torch.float32)


def roi_align(
    input: torch.Tensor,
    boxes: Boxes,
    output_size: int | Sequence[int],
    spatial_scale: float = 1.0,
    sampling_ratio: int = -1,
    aligned: bool = False,
    validate: bool = True,
) -> torch.Tensor:
    """RoIAlign (arXiv 1703.06870): average bilinear samples of each bin of each RoI.

    Parameters
    ----------
    input : (N, C, H, W), any floating type; computed in float64 for float64 and in float32 otherwise.
    boxes : (K, 5) as image index, x1, y1, x2, y2; or a list of N tensors (L, 4) as x1, y1, x2, y2. Any
        floating type.
    output_size : bins, as one number or as height and width.
    spatial_scale : factor from the coordinates of `boxes` to those of `input`.
    sampling_ratio : samples along each side of a bin; 0 or less for as many as it spans pixels, rounded up.
    aligned : take half a pixel off the coordinates, as is right where the centre of pixel 0 is at 0.5.
        Without, sizes below one pixel are raised to one.
    validate : check the arguments. Reading the values of `boxes` waits for a GPU.

    Returns
    -------
    (K, C, height, width) of input's type, channels last if input is. Samples more than a pixel outside
    count as 0, and those up to a pixel outside take the border. Differentiable in `input`, any number of
    times.

    Raises
    ------
    ValueError : wrong shapes, types or devices; NaN, infinity or an image that does not exist in `boxes`.
        Without `validate`, such a RoI gives zeros.
    """
    if are_constant(input, boxes):
        try:
            return _direct_roi_align(
                input, boxes, spatial_scale, *as_pair(output_size), sampling_ratio, aligned
            )
        except (RuntimeError, ValueError):  # the checks below say why
            pass
    if has_torch_function((input, boxes)):
        return handle_torch_function(
            roi_align,
            (input, boxes),
            input,
            boxes,
            output_size,
            spatial_scale,
            sampling_ratio,
            aligned,
            validate=validate,
        )
    validate = validate and not are_good(input, boxes, output_size, spatial_scale, sampling_ratio)
    if validate:
        check_pooling(input, boxes, output_size, sampling_ratio)
        check_scale(spatial_scale)
    rois = as_rois(boxes)
    if validate:
        check_rois(input, rois)
    height, width = as_pair(output_size)
    return _roi_align(input, rois, spatial_scale, height, width, sampling_ratio, aligned)


@traceable
def multiscale_roi_align(
    features: Sequence[torch.Tensor],
    boxes: Boxes,
    output_size: int | Sequence[int],
    scales: Sequence[float],
    sampling_ratio: int = -1,
    aligned: bool = False,
    canonical_scale: float = 224,
    canonical_level: int = 4,
    validate: bool = True,
) -> torch.Tensor:
    """RoIAlign of each RoI on the level of a feature pyramid that fits its size, in one call.

    Parameters
    ----------
    features : (N, C, H, W) for each level, finest first; one N, C, type and device.
    boxes, output_size, sampling_ratio, aligned, validate : as for `roi_align`; coordinates are the image's.
    scales : factor from image to feature coordinates of each level: powers of two, not ascending.
    canonical_scale, canonical_level : a box of canonical_scale^2 pixels belongs to canonical_level, which
        is the one of scale 2^-canonical_level. See `pyramid_levels`.

    Returns
    -------
    (K, C, height, width), as from `roi_align`.
    """
    if validate:
        if len(features) == 0 or len(features) != len(scales):
            raise ValueError(
                f"there must be a scale for each feature map, not {len(scales)} for {len(features)}"
            )
        for feature in features:
            check_pooling(feature, boxes, output_size, sampling_ratio)
            if feature.shape[:2] != features[0].shape[:2] or feature.dtype != features[0].dtype:
                raise ValueError("feature maps must be of one type and have the same first two dimensions")
        check_together(**{f"features[{i}]": feature for i, feature in enumerate(features)})
        for scale in scales:
            check_scale(scale)
        if list(scales) != sorted(scales, reverse=True):
            raise ValueError(f"scales must not ascend: {list(scales)}")
        check_number("canonical_scale", canonical_scale, 1e-9, 1e9)
    rois = as_rois(boxes)
    if validate:
        check_rois(features[0], rois)
    height, width = as_pair(output_size)
    levels = pyramid_levels(rois[:, 1:], scales, canonical_scale, canonical_level)
    return _multiscale(list(features), rois, levels, list(scales), height, width, sampling_ratio, aligned)


def pyramid_levels(
    boxes: torch.Tensor, scales: Sequence[float], canonical_scale: float = 224, canonical_level: int = 4
) -> torch.Tensor:
    """Index into `scales` of the pyramid level for each box (K, 4): equation 1 of arXiv 1612.03144.

    The level is floor(canonical_level + log2(sqrt(area) / canonical_scale)), and of the levels that exist the
    next finer one, or the finest; of several with one scale the first. 1e-6 is added before rounding down, as
    torchvision does.
    """
    corners = computed(boxes)
    area = (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])
    target = torch.floor(canonical_level + torch.log2(area.sqrt() / canonical_scale) + 1e-6)
    levels = torch.zeros_like(
        target, dtype=torch.int64
    )  # NaN, of an inverted box, is in no comparison: level 0
    exist = [round(-math.log2(scale)) for scale in scales]
    for i in range(1, len(exist)):
        if exist[i] > exist[i - 1]:
            levels = torch.where(target >= exist[i], i, levels)
    return levels
