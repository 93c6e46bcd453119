"""Pairwise IoU in plain torch: oracle, fallback, and what its gradient is taken of."""

import math

import torch

from ops.reference import computed


def pairwise_iou(boxes1: torch.Tensor, boxes2: torch.Tensor, kind: int) -> torch.Tensor:
    """(N, 4) and (M, 4) xyxy -> (N, M); kind 0 iou, 1 giou, 2 diou, 3 ciou. 0/0 is 0."""
    first, second = computed(boxes1)[:, None], computed(boxes2)[None]
    first, second = first.to(torch.promote_types(first.dtype, second.dtype)), second.to(first.dtype)
    low, high = torch.maximum(first[..., :2], second[..., :2]), torch.minimum(first[..., 2:], second[..., 2:])
    inter = _area((high - low).clamp(min=0))
    size1, size2 = first[..., 2:] - first[..., :2], second[..., 2:] - second[..., :2]
    union = _area(size1) + _area(size2) - inter
    iou = _ratio(inter, union)
    if kind == 0:
        return iou
    hull_low = torch.minimum(first[..., :2], second[..., :2])
    hull = (torch.maximum(first[..., 2:], second[..., 2:]) - hull_low).clamp(min=0)
    if kind == 1:
        return iou - _ratio(_area(hull) - union, _area(hull))
    between = (first[..., :2] + first[..., 2:] - second[..., :2] - second[..., 2:]) / 2
    distance = _ratio(between.square().sum(dim=-1), hull.square().sum(dim=-1))
    if kind == 2:
        return iou - distance
    angle = _angle(size1) - _angle(size2)
    aspect = 4 / math.pi**2 * angle.square()
    return iou - distance - _ratio(aspect, 1 - iou + aspect) * aspect


def _area(size: torch.Tensor) -> torch.Tensor:
    return size[..., 0] * size[..., 1]


def _angle(size: torch.Tensor) -> torch.Tensor:
    """arctan(width / height), 0 for a point. The gradient of a point is 0, not NaN."""
    point = (size == 0).all(dim=-1)
    return torch.where(point, torch.zeros_like(size[..., 0]), torch.atan2(size[..., 0], size[..., 1] + point))


def _ratio(numerator: torch.Tensor, denominator: torch.Tensor) -> torch.Tensor:
    """Quotient, and 0 where the denominator is 0; the gradient is finite there, too."""
    empty = denominator == 0
    return torch.where(empty, torch.zeros_like(numerator), numerator / torch.where(empty, 1.0, denominator))
