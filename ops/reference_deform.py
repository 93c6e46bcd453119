"""Deformable convolution and RoIAlign of turned boxes in plain torch: oracle, fallback, what runs on a GPU,
and what second derivatives are taken of."""

import math
from typing import NamedTuple

import torch

from ops.reference import computed

Gradients = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


class Samples(NamedTuple):
    """Places between pixels: for each of S the flat positions of its upper left, upper right, lower left and
    lower right neighbours, whether these are there, and how far it is from the first."""

    corners: tuple[torch.Tensor, ...]
    there: tuple[torch.Tensor, ...]
    down: torch.Tensor
    right: torch.Tensor

    def read(self, planes: torch.Tensor) -> list[torch.Tensor]:
        """The four neighbours in planes (..., C, pixels), each (..., C, S); 0 where there is none."""
        return [
            torch.where(
                there[..., None, :],
                planes.gather(-1, corner[..., None, :].expand(*planes.shape[:-1], corner.shape[-1])),
                0.0,
            )
            for corner, there in zip(self.corners, self.there, strict=True)
        ]

    def weights(self) -> list[torch.Tensor]:
        """What each neighbour counts for."""
        up, left = 1 - self.down, 1 - self.right
        return [up * left, up * self.right, self.down * left, self.down * self.right]

    def mix(self, neighbours: list[torch.Tensor]) -> torch.Tensor:
        """Bilinear interpolation (..., C, S) of what `read` gave."""
        one, two, three, four = (
            weight[..., None, :] * neighbour
            for weight, neighbour in zip(self.weights(), neighbours, strict=True)
        )
        return one + two + three + four

    def spread(self, grad: torch.Tensor, planes: torch.Tensor) -> torch.Tensor:
        """`planes` plus the transpose of `read` and `mix` of grad (..., C, S)."""
        for corner, there, weight in zip(self.corners, self.there, self.weights(), strict=True):
            share = torch.where(there[..., None, :], grad * weight[..., None, :], 0.0)
            planes = planes.scatter_add(-1, corner[..., None, :].expand_as(grad), share)
        return planes


def _samples(y: torch.Tensor, x: torch.Tensor, inside: torch.Tensor, height: int, width: int) -> Samples:
    """Of places y, x (..., S), which are less than a pixel outside where `inside`, and count as 0
    elsewhere."""
    y, x = torch.where(inside, y, 0.0), torch.where(inside, x, 0.0)
    top, left = y.detach().floor(), x.detach().floor()
    corners, there = [], []
    for row, column in ((top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1)):
        good = inside & (row >= 0) & (row < height) & (column >= 0) & (column < width)
        there.append(good)
        corners.append(torch.where(good, row * width + column, 0.0).long())
    return Samples(tuple(corners), tuple(there), y - top, x - left)


def _deformed(
    input: torch.Tensor, offset: torch.Tensor, kernel_height: int, kernel_width: int, stride_y: int,
    stride_x: int, padding_y: int, padding_x: int, dilation_y: int, dilation_x: int,
) -> Samples:  # fmt: skip
    """Where each tap of each group looks: S is taps * pixels, after (N, groups)."""
    images, _, height, width = input.shape
    taps, (rows, columns) = kernel_height * kernel_width, offset.shape[2:]
    groups = offset.shape[1] // (2 * taps)
    moved = offset.reshape(images, groups, taps, 2, rows * columns)
    tap = torch.arange(taps, device=input.device)
    row = torch.arange(rows, device=input.device)[:, None].expand(rows, columns).reshape(-1)
    column = torch.arange(columns, device=input.device).expand(rows, columns).reshape(-1)
    y = row * stride_y - padding_y + (tap // kernel_width * dilation_y)[:, None] + moved[:, :, :, 0]
    x = column * stride_x - padding_x + (tap % kernel_width * dilation_x)[:, None] + moved[:, :, :, 1]
    inside = (y > -1) & (y < height) & (x > -1) & (x < width)
    return _samples(y.flatten(2), x.flatten(2), inside.flatten(2), height, width)


def deform_columns(
    input: torch.Tensor, offset: torch.Tensor, mask: torch.Tensor | None, kernel_height: int,
    kernel_width: int, *how: int,
) -> torch.Tensor:  # fmt: skip
    """What each tap of each output pixel sees (arXiv 1703.06211): (N, C * taps, pixels)."""
    samples = _deformed(input, offset, kernel_height, kernel_width, *how)
    values = samples.mix(samples.read(_grouped(input, offset, kernel_height * kernel_width)))
    if mask is not None:
        values = values * mask.reshape(*values.shape[:2], 1, values.shape[-1])
    taps, pixels = kernel_height * kernel_width, offset.shape[2] * offset.shape[3]
    return values.reshape(input.shape[0], input.shape[1] * taps, pixels)


def deform_columns_backward(
    grad: torch.Tensor, input: torch.Tensor, offset: torch.Tensor, mask: torch.Tensor | None,
    kernel_height: int, kernel_width: int, *how: int,
) -> Gradients:  # fmt: skip
    """Gradients of input, offset and mask; without a mask, of (0,)."""
    planes = _grouped(input, offset, kernel_height * kernel_width)
    samples = _deformed(input, offset, kernel_height, kernel_width, *how)
    neighbours = samples.read(planes)
    grad = grad.reshape(neighbours[0].shape)
    of_mask = input.new_zeros(0)
    if mask is not None:
        of_mask = (grad * samples.mix(neighbours)).sum(dim=2).reshape(mask.shape)
        grad = grad * mask.reshape(*planes.shape[:2], 1, grad.shape[-1])
    down, right = samples.down[:, :, None], samples.right[:, :, None]
    one, two, three, four = neighbours
    by_y = (grad * ((1 - right) * (three - one) + right * (four - two))).sum(dim=2)
    by_x = (grad * ((1 - down) * (two - one) + down * (four - three))).sum(dim=2)
    shape = (*planes.shape[:2], kernel_height * kernel_width, offset.shape[2] * offset.shape[3])
    of_offset = torch.stack([by_y.reshape(shape), by_x.reshape(shape)], dim=3).reshape(offset.shape)
    of_input = samples.spread(grad, torch.zeros_like(planes)).reshape(input.shape)
    return of_input, of_offset, of_mask


def _grouped(input: torch.Tensor, offset: torch.Tensor, taps: int) -> torch.Tensor:
    """(N, groups, channels of a group, pixels)."""
    images, channels, height, width = input.shape
    groups = offset.shape[1] // (2 * taps)
    return input.reshape(images, groups, channels // groups, height * width)


MOST_SAMPLES = 4096
"""Along a side of a bin, where their number is up to the size of the RoI."""


def roi_align_rotated(
    input: torch.Tensor, rois: torch.Tensor, spatial_scale: float, pooled_height: int, pooled_width: int,
    sampling_ratio: int,
) -> torch.Tensor:  # fmt: skip
    """RoIAlign of turned boxes: (N, C, H, W) and (K, 6) -> (K, C, pooled_height, pooled_width)."""
    images, how = computed(input), (spatial_scale, pooled_height, pooled_width, sampling_ratio)
    out = []
    for roi in rois.to(images.dtype):
        samples, counts = _turned(roi, input.shape, *how)
        if samples is None:
            out.append(images.new_zeros((input.shape[1], pooled_height, pooled_width)))
            continue
        values = samples.mix(samples.read(images[int(roi[0])].flatten(1)))
        values = values.reshape(-1, pooled_height, counts[0], pooled_width, counts[1])
        out.append(values.sum(dim=(2, 4)) / (counts[0] * counts[1]))
    if not out:
        return input.new_zeros((0, input.shape[1], pooled_height, pooled_width))
    return torch.stack(out).to(input.dtype)


def roi_align_rotated_backward(
    grad: torch.Tensor, rois: torch.Tensor, spatial_scale: float, pooled_height: int, pooled_width: int,
    sampling_ratio: int, batch: int, channels: int, height: int, width: int,
) -> torch.Tensor:  # fmt: skip
    """The transpose of `roi_align_rotated`."""
    shape, how = (
        (batch, channels, height, width),
        (spatial_scale, pooled_height, pooled_width, sampling_ratio),
    )
    grads = computed(grad)
    out = list(grads.new_zeros((batch, channels, height * width)))
    for roi, of_roi in zip(rois.to(grads.dtype), grads, strict=True):
        samples, counts = _turned(roi, shape, *how)
        if samples is not None:
            share = of_roi[:, :, None, :, None] / (counts[0] * counts[1])
            share = share.expand(-1, -1, counts[0], -1, counts[1]).flatten(1)
            out[int(roi[0])] = samples.spread(share, out[int(roi[0])])
    return torch.stack(out).reshape(shape).to(grad.dtype) if out else grad.new_zeros(shape)


def _turned(
    roi: torch.Tensor, shape: tuple[int, ...], scale: float, pooled_height: int, pooled_width: int, ratio: int
) -> tuple[Samples | None, tuple[int, int]]:
    """The samples of a RoI, in the order (bin row, sample row, bin column, sample column), and how many there
    are in a bin along each side; None where it names no image, is not finite, or has no samples."""
    scaled = roi[1:5] * scale
    known = bool(torch.isfinite(roi).all() & torch.isfinite(scaled).all())
    if not known or not -1 < float(roi[0]) < shape[0] or bool((scaled[2:] < 0).any()):
        return None, (0, 0)
    down, across = (
        ratio if ratio > 0 else min(math.ceil(float(side / pooled)), MOST_SAMPLES)
        for side, pooled in ((scaled[3], pooled_height), (scaled[2], pooled_width))
    )
    height, width = shape[2:]
    if 0 in (down, across, height, width):
        return None, (0, 0)
    v = _grid(scaled[3], pooled_height, down)[:, :, None, None]
    u = _grid(scaled[2], pooled_width, across)
    angle = roi[5] * (math.pi / 180)
    y = (v * angle.cos() - u * angle.sin() + scaled[1] - 0.5).flatten()
    x = (v * angle.sin() + u * angle.cos() + scaled[0] - 0.5).flatten()
    inside = (y >= -1) & (y <= height) & (x >= -1) & (x <= width)
    y, x = y.clamp(0, height - 1), x.clamp(0, width - 1)
    return _samples(y, x, inside, height, width), (down, across)


def _grid(side: torch.Tensor, pooled: int, count: int) -> torch.Tensor:
    """(pooled, count) places of samples along a side, from its middle."""
    bins = torch.arange(pooled, dtype=side.dtype, device=side.device)[:, None]
    samples = torch.arange(count, dtype=side.dtype, device=side.device) + 0.5
    return -side / 2 + bins * (side / pooled) + samples * (side / pooled) / count
