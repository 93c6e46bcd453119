"""The operators in plain torch: the oracle of the tests, and the fallback where nothing is compiled.

Written to be read against the papers, not to be fast.
"""

import math

import torch


def pairwise_iou(boxes1: torch.Tensor, boxes2: torch.Tensor, kind: int) -> torch.Tensor:
    """(N, 4) and (M, 4) xyxy -> (N, M); kind 0 iou, 1 giou, 2 diou, 3 ciou. 0/0 is 0."""
    first, second = computed(boxes1)[:, None], computed(boxes2)[None]
    low, high = torch.maximum(first[..., :2], second[..., :2]), torch.minimum(first[..., 2:], second[..., 2:])
    inter = (high - low).clamp(min=0).prod(dim=-1)
    size1, size2 = first[..., 2:] - first[..., :2], second[..., 2:] - second[..., :2]
    union = size1.prod(dim=-1) + size2.prod(dim=-1) - inter
    iou = safe_divide(inter, union)
    if kind == 0:
        return iou
    hull_low = torch.minimum(first[..., :2], second[..., :2])
    hull = (torch.maximum(first[..., 2:], second[..., 2:]) - hull_low).clamp(min=0)
    if kind == 1:
        return iou - safe_divide(hull.prod(dim=-1) - union, hull.prod(dim=-1))
    between = (first[..., :2] + first[..., 2:] - second[..., :2] - second[..., 2:]) / 2
    diou = iou - safe_divide(between.square().sum(dim=-1), hull.square().sum(dim=-1))
    if kind == 2:
        return diou
    angle = torch.atan(size1[..., 0] / size1[..., 1]) - torch.atan(size2[..., 0] / size2[..., 1])
    aspect = 4 / math.pi**2 * angle.square()
    return diou - safe_divide(aspect, 1 - iou + aspect) * aspect


def computed(tensor: torch.Tensor) -> torch.Tensor:
    """`tensor` in the type it is computed in: float64 stays, everything else becomes float32."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def safe_divide(numerator: torch.Tensor, denominator: torch.Tensor) -> torch.Tensor:
    """Quotient, and 0 where the numerator is 0."""
    return torch.where(numerator == 0, torch.zeros_like(numerator), numerator / denominator)
