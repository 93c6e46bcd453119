"""The RoI operators in plain torch: the oracle of their tests, and the fallback where nothing is compiled.

All but max pooling are linear and separable: a bin is a weighted sum over rows of weighted sums over
columns. Each RoI becomes a matrix (pooled height, H) of row weights and one (pooled width, W) of column
weights.
"""

import math
from collections.abc import Callable, Iterator

import torch

from ops.reference import computed
from ops.roi_boxes import in_order_of

Weights = tuple[torch.Tensor, torch.Tensor]
RoiWeights = Callable[[torch.Tensor, int, int], Weights]


def roi_align(
    input: torch.Tensor, rois: torch.Tensor, spatial_scale: float, pooled_height: int, pooled_width: int,
    sampling_ratio: int, aligned: bool,
) -> torch.Tensor:  # fmt: skip
    """RoIAlign (arXiv 1703.06870): (N, C, H, W) and (K, 5) -> (K, C, pooled_height, pooled_width)."""
    weights = align_weights(spatial_scale, pooled_height, pooled_width, sampling_ratio, aligned, not aligned)
    return _pool(input, rois, pooled_height, pooled_width, weights)


def roi_align_backward(
    grad: torch.Tensor, rois: torch.Tensor, spatial_scale: float, pooled_height: int, pooled_width: int,
    sampling_ratio: int, aligned: bool, batch: int, channels: int, height: int, width: int,
) -> torch.Tensor:  # fmt: skip
    """The transpose of `roi_align`."""
    weights = align_weights(spatial_scale, pooled_height, pooled_width, sampling_ratio, aligned, not aligned)
    return _spread(grad, rois, (batch, channels, height, width), weights)


def multiscale_roi_align(
    inputs: list[torch.Tensor], rois: torch.Tensor, levels: torch.Tensor, scales: list[float],
    pooled_height: int, pooled_width: int, sampling_ratio: int, aligned: bool,
) -> torch.Tensor:  # fmt: skip
    """`roi_align` of each RoI on the input that `levels` names."""
    first = inputs[0]
    shape = (rois.shape[0], first.shape[1], pooled_height, pooled_width)
    out = torch.zeros(shape, dtype=first.dtype, device=first.device)
    for level, (input, scale) in enumerate(zip(inputs, scales, strict=True)):
        of_level = levels == level
        pooled = roi_align(input, rois[of_level], scale, pooled_height, pooled_width, sampling_ratio, aligned)
        out[of_level] = pooled.to(out.dtype)
    return in_order_of(first, out)


def multiscale_roi_align_backward(
    grad: torch.Tensor, inputs: list[torch.Tensor], rois: torch.Tensor, levels: torch.Tensor,
    scales: list[float], pooled_height: int, pooled_width: int, sampling_ratio: int, aligned: bool,
) -> list[torch.Tensor]:  # fmt: skip
    """The transpose of `multiscale_roi_align`: a gradient for each input."""
    grads = []
    for level, (input, scale) in enumerate(zip(inputs, scales, strict=True)):
        of_level = levels == level
        weights = align_weights(scale, pooled_height, pooled_width, sampling_ratio, aligned, not aligned)
        grads.append(in_order_of(grad, _spread(grad[of_level], rois[of_level], tuple(input.shape), weights)))
    return grads


def ps_roi_align(
    input: torch.Tensor, rois: torch.Tensor, spatial_scale: float, pooled_height: int, pooled_width: int,
    sampling_ratio: int,
) -> torch.Tensor:  # fmt: skip
    """Position-sensitive RoIAlign (arXiv 1711.07264): bin b of channel c pools input channel c * bins + b."""
    weights = align_weights(spatial_scale, pooled_height, pooled_width, sampling_ratio, True, False)
    return _own_channels(input, _pool(input, rois, pooled_height, pooled_width, weights))


def ps_roi_align_backward(
    grad: torch.Tensor, rois: torch.Tensor, spatial_scale: float, pooled_height: int, pooled_width: int,
    sampling_ratio: int, batch: int, channels: int, height: int, width: int,
) -> torch.Tensor:  # fmt: skip
    """The transpose of `ps_roi_align`."""
    weights = align_weights(spatial_scale, pooled_height, pooled_width, sampling_ratio, True, False)
    return in_order_of(grad, _spread(_all_channels(grad), rois, (batch, channels, height, width), weights))


def ps_roi_pool(
    input: torch.Tensor, rois: torch.Tensor, spatial_scale: float, pooled_height: int, pooled_width: int
) -> torch.Tensor:
    """Position-sensitive average pooling over whole pixels (R-FCN, arXiv 1605.06409)."""
    weights = _average_weights(spatial_scale, pooled_height, pooled_width)
    return _own_channels(input, _pool(input, rois, pooled_height, pooled_width, weights))


def ps_roi_pool_backward(
    grad: torch.Tensor, rois: torch.Tensor, spatial_scale: float, pooled_height: int, pooled_width: int,
    batch: int, channels: int, height: int, width: int,
) -> torch.Tensor:  # fmt: skip
    """The transpose of `ps_roi_pool`."""
    weights = _average_weights(spatial_scale, pooled_height, pooled_width)
    return in_order_of(grad, _spread(_all_channels(grad), rois, (batch, channels, height, width), weights))


def roi_pool(
    input: torch.Tensor, rois: torch.Tensor, spatial_scale: float, pooled_height: int, pooled_width: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """RoI max pooling (arXiv 1504.08083): maxima, and their flat positions in H * W (int32, -1: none)."""
    (channels, height, width), count = input.shape[1:], rois.shape[0]
    images = computed(input)
    out = images.new_zeros((count, channels, pooled_height, pooled_width))
    argmax = torch.full_like(out, -1, dtype=torch.int32)
    for index, image, (x1, y1, x2, y2) in _placed(rois.to(images.dtype), input.shape[0]):
        rows = _pixel_bounds(y1 * spatial_scale, y2 * spatial_scale, True, pooled_height, height)
        columns = _pixel_bounds(x1 * spatial_scale, x2 * spatial_scale, True, pooled_width, width)
        for p, (top, bottom) in enumerate(rows):
            for q, (left, right) in enumerate(columns):
                if top >= bottom or left >= right:
                    continue
                values = images[image, :, top:bottom, left:right].flatten(1)
                values = values.masked_fill(values.isnan(), -math.inf)
                best = values.amax(dim=1)
                place = (values == best[:, None]).to(torch.uint8).argmax(dim=1)  # the first, in reading order
                flat = (top + place // (right - left)) * width + left + place % (right - left)
                out[index, :, p, q] = best
                argmax[index, :, p, q] = torch.where(best == -math.inf, -1, flat).int()
    return in_order_of(input, out.to(input.dtype)), in_order_of(input, argmax)


def roi_pool_backward(
    grad: torch.Tensor,
    argmax: torch.Tensor,
    rois: torch.Tensor,
    batch: int,
    channels: int,
    height: int,
    width: int,
) -> torch.Tensor:
    """Adds every bin's gradient at its maximum."""
    out = computed(grad).new_zeros((batch, channels, height * width))
    for index, image, _ in _placed(rois, batch):
        place, value = argmax[index].flatten(1).long(), computed(grad[index]).flatten(1)
        found = (place >= 0) & (place < height * width)
        out[image].scatter_add_(1, place.where(found, 0), value.where(found, 0))
    return in_order_of(grad, out.reshape(batch, channels, height, width).to(grad.dtype))


def align_weights(
    spatial_scale: float, pooled_height: int, pooled_width: int, sampling_ratio: int, half_pixel: bool,
    at_least_one: bool,
) -> RoiWeights:  # fmt: skip
    """Weights of sampled bins: `half_pixel` is taken off the corners, `at_least_one` raises sizes to one."""

    def axis(low: torch.Tensor, high: torch.Tensor, pooled: int, size: int) -> torch.Tensor:
        start, end = low * spatial_scale - 0.5 * half_pixel, high * spatial_scale - 0.5 * half_pixel
        extent = (end - start).clamp(min=1) if at_least_one else end - start
        return _sampled_axis(start, extent / pooled, pooled, sampling_ratio, size)

    return _both_axes(axis, pooled_height, pooled_width)


def _both_axes(axis: Callable[..., torch.Tensor], pooled_height: int, pooled_width: int) -> RoiWeights:
    def weights(corners: torch.Tensor, height: int, width: int) -> Weights:
        x1, y1, x2, y2 = corners
        return axis(y1, y2, pooled_height, height), axis(x1, x2, pooled_width, width)

    return weights


def _sampled_axis(
    start: torch.Tensor, step: torch.Tensor, pooled: int, ratio: int, size: int
) -> torch.Tensor:
    """Row p: what the samples in [start + p * step, start + (p + 1) * step) take of each of `size` pixels."""
    out = start.new_zeros((pooled, size))
    if not (math.isfinite(float(start)) and math.isfinite(float(step) * pooled)) or size == 0:
        return out
    count = ratio if ratio > 0 else min(math.ceil(float(step)), 9 * 10**15)
    if count <= 0:
        return out
    for p in range(pooled):
        # Samples more than a pixel outside count as 0, and a huge RoI has too many of them to visit.
        origin, apart = float(start) + p * float(step), float(step) / count
        reach = sorted([(-1 - origin) / apart, (size - origin) / apart]) if apart else [0.0, float(count)]
        first = min(max(0, math.floor(reach[0]) - 3), count)
        last = max(first, min(count, math.ceil(reach[1]) + 3))
        samples = torch.arange(first, last, dtype=start.dtype, device=start.device) + 0.5
        at = start + p * step + samples * step / count
        at = at[(at >= -1) & (at <= size)].clamp(min=0)
        low = at.long().clamp(max=size - 1)
        high = (low + 1).clamp(max=size - 1)
        part = torch.where(low == high, torch.zeros_like(at), at - low)
        out[p].index_add_(0, low, (1 - part) / count).index_add_(0, high, part / count)
    return out


def _average_weights(spatial_scale: float, pooled_height: int, pooled_width: int) -> RoiWeights:
    def axis(low: torch.Tensor, high: torch.Tensor, pooled: int, size: int) -> torch.Tensor:
        out = low.new_zeros((pooled, size))
        bounds = _pixel_bounds(low * spatial_scale, high * spatial_scale, False, pooled, size)
        for p, (first, last) in enumerate(bounds):
            out[p, first:last] = 1 / max(last - first, 1)
        return out

    return _both_axes(axis, pooled_height, pooled_width)


def _pixel_bounds(
    low: torch.Tensor, high: torch.Tensor, inclusive: bool, pooled: int, size: int
) -> list[list[int]]:
    """Pixels [first, last) of each bin; corners are rounded half away from zero, bins cut to the image."""

    def rounded(value: torch.Tensor) -> torch.Tensor:
        return value.trunc() + ((value - value.trunc()).abs() >= 0.5) * value.sign()

    start = rounded(low)
    step = (rounded(high) - start + int(inclusive)).clamp(min=1) / pooled
    bins = torch.arange(pooled, dtype=low.dtype, device=low.device)
    edges = torch.stack([start + (bins * step).floor(), start + ((bins + 1) * step).ceil()], dim=1)
    return edges.nan_to_num(nan=0).clamp(0, size).long().tolist()


def _placed(rois: torch.Tensor, images: int) -> Iterator[tuple[int, int, torch.Tensor]]:
    """Index, image and corners of the RoIs that name an image; the others pool nothing."""
    for index, image in enumerate(rois[:, 0].tolist()):
        if -1 < image < images:
            yield index, int(image), rois[index, 1:]


def _pool(
    input: torch.Tensor, rois: torch.Tensor, pooled_height: int, pooled_width: int, roi_weights: RoiWeights
) -> torch.Tensor:
    images = computed(input)
    out = images.new_zeros((rois.shape[0], input.shape[1], pooled_height, pooled_width))
    for index, image, corners in _placed(rois.to(images.dtype), input.shape[0]):
        rows, columns = roi_weights(corners, input.shape[2], input.shape[3])
        out[index] = rows @ images[image] @ columns.T
    return in_order_of(input, out.to(input.dtype))


def _spread(
    grad: torch.Tensor, rois: torch.Tensor, shape: tuple[int, ...], roi_weights: RoiWeights
) -> torch.Tensor:
    grads = computed(grad)
    out = grads.new_zeros(shape)
    for index, image, corners in _placed(rois.to(grads.dtype), shape[0]):
        rows, columns = roi_weights(corners, shape[2], shape[3])
        out[image] += rows.T @ grads[index] @ columns
    return in_order_of(grad, out.to(grad.dtype))


def _own_channels(input: torch.Tensor, pooled: torch.Tensor) -> torch.Tensor:
    """Of (K, c * bins, PH, PW), bin b of the channels c * bins + b."""
    count, channels, height, width = pooled.shape
    bins = height * width
    own = pooled.reshape(count, channels // bins, bins, bins).diagonal(dim1=2, dim2=3)
    return in_order_of(input, own.reshape(count, channels // bins, height, width))


def _all_channels(grad: torch.Tensor) -> torch.Tensor:
    """The transpose of `_own_channels`."""
    count, channels, height, width = grad.shape
    bins = height * width
    return grad.reshape(count, channels, bins).diag_embed().reshape(count, channels * bins, height, width)
