"""IoU and NMS of rotated boxes in plain torch: oracle, fallback, and what gradients are taken of."""

import math

import torch

from ops.reference import computed


def box_iou_rotated(boxes1: torch.Tensor, boxes2: torch.Tensor) -> torch.Tensor:
    """(N, 5) and (M, 5) as cx, cy, w, h, degrees -> (N, M).

    In the frame of the first box, [-a, a] x [-b, b], the common area is the sum over the second's edges, in
    their direction, of the integral of clamp(y, -b, b) dx over the part with |x| <= a.
    """
    first, second = computed(boxes1)[:, None], computed(boxes2)[None]
    first, second = first.to(torch.promote_types(first.dtype, second.dtype)), second.to(first.dtype)
    half1, half2 = first[..., 2:4] / 2, second[..., 2:4] / 2
    a, b = half1.unbind(dim=-1)
    half_w, half_h = half2.unbind(dim=-1)
    across, down = (second[..., :2] - first[..., :2]).unbind(dim=-1)
    x, y = _turn(across, down, first[..., 4])
    relative = second[..., 4] - first[..., 4]
    c, s = _cosine(relative), _sine(relative)
    e, f = (c * half_w, -s * half_w), (s * half_h, c * half_h)
    inter = (
        _edge(x + f[0], y + f[1], *e, a, b)
        - _edge(x - f[0], y - f[1], *e, a, b)
        + _edge(x - e[0], y - e[1], *f, a, b)
        - _edge(x + e[0], y + e[1], *f, a, b)
    )
    area1, area2 = first[..., 2] * first[..., 3], second[..., 2] * second[..., 3]
    inter = torch.minimum(inter, torch.minimum(area1, area2))
    # Rounding must not make disjoint boxes overlap: look for a separating axis.
    along_w, along_h = _turn(x, y, relative)
    meet = (x.abs() < a + c.abs() * half_w + s.abs() * half_h) & (
        y.abs() < b + s.abs() * half_w + c.abs() * half_h
    )
    meet &= (along_w.abs() < half_w + c.abs() * a + s.abs() * b) & (
        along_h.abs() < half_h + s.abs() * a + c.abs() * b
    )
    meet &= (inter > 0) & (area1 > 0) & (area2 > 0)
    union = torch.where(meet, area1 + area2 - inter, 1.0)
    return torch.where(meet, inter / union, 0.0)


def _edge(
    x: torch.Tensor, y: torch.Tensor, gx: torch.Tensor, gy: torch.Tensor, a: torch.Tensor, b: torch.Tensor
) -> torch.Tensor:
    """Integral of clamp(y, -b, b) dx along (x, y) -+ (gx, gy), over the part with |x| <= a."""
    begin, end = _crossings(x, gx, a, -torch.ones_like(x), torch.ones_like(x))
    # Where exactly the integrand bends does not matter to first order, hence no gradient of it.
    enter, leave = _crossings(y.detach(), gy.detach(), b.detach(), begin.detach(), end.detach())

    def height(t: torch.Tensor) -> torch.Tensor:
        return torch.minimum(torch.maximum(y + t * gy, -b), b)

    # Not clamped: between the bounds the ends move with y, and a clamp would halve their gradient.
    ramp = (leave - enter) * (y + (enter + leave) / 2 * gy)
    return gx * ((enter - begin) * height(begin) + ramp + (end - leave) * height(end))


def _crossings(
    x: torch.Tensor, gx: torch.Tensor, bound: torch.Tensor, low: torch.Tensor, high: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Between which t of [low, high] x + t * gx is in [-bound, bound]."""
    tiny = 1e-30 if x.dtype == torch.float32 else 1e-200
    gx = torch.where(gx.abs() < tiny, tiny, gx)
    one, two = (-bound - x) / gx, (bound - x) / gx
    begin = torch.minimum(torch.maximum(torch.minimum(one, two), low), high)
    return begin, torch.minimum(torch.maximum(torch.maximum(one, two), begin), high)


def _turn(x: torch.Tensor, y: torch.Tensor, degrees: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    c, s = _cosine(degrees), _sine(degrees)
    return c * x - s * y, s * x + c * y


def _cosine(degrees: torch.Tensor) -> torch.Tensor:
    """Cosine, exact at right angles."""
    return _sine(degrees + 90)


def _sine(degrees: torch.Tensor) -> torch.Tensor:
    """Sine, exact at right angles."""
    turned = torch.remainder(degrees, 360)
    half = torch.where(turned > 180, turned - 180, turned)
    half = torch.where(half > 90, 180 - half, half)
    value = torch.sin(half * (math.pi / 180))
    return torch.where(turned > 180, -value, value)


def nms_rotated(boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    """Indices of the boxes (N, 5) that no kept box of a higher score overlaps by more than the threshold."""
    order = computed(scores).nan_to_num(nan=-math.inf, posinf=math.inf, neginf=-math.inf)
    order = order.sort(descending=True, stable=True).indices
    above = (box_iou_rotated(boxes[order], boxes[order]).double() > iou_threshold).tolist()
    kept: list[int] = []
    for rank in range(len(order)):
        if not any(above[rank][earlier] for earlier in kept):
            kept.append(rank)
    return order[torch.tensor(kept, dtype=torch.int64, device=boxes.device)]
