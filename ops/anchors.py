"""Anchors of a single-shot detector: where they are, what they should predict, and what their predictions
mean.

Boxes are xyxy in shares of the image, from 0 to 1. Offsets are 10 dx / w, 10 dy / h, 5 log(w'/w), 5 log(h'/h)
from an anchor of size w, h (SSD, arXiv 1512.02325, with the usual variances 0.1 and 0.2). Plain torch on top
of the other operators, whole batches at a time, without synchronising a GPU.
"""

from collections.abc import Sequence

import torch

from ops.box_formats import box_convert
from ops.boxes import box_iou
from ops.checks import (
    check_finite,
    check_float,
    check_number,
    check_ordered,
    check_same_length,
    check_together,
)
from ops.direct import traceable
from ops.nms import nms_padded

LOG_GUARD = 1e-6
"""Added to size ratios before the logarithm, so that an empty box has a finite target."""


def multibox_prior(
    size: tuple[int, int],
    sizes: Sequence[float],
    ratios: Sequence[float],
    device: torch.device | str | None = None,
    dtype: torch.dtype = torch.float32,
) -> torch.Tensor:
    """Anchors of every pixel of a feature map: every size with the first ratio, then the first size with the
    others.

    Parameters
    ----------
    size : (height, width) of the feature map.
    sizes : sides of the anchors as shares of the image, in (0, 1].
    ratios : of width to height, above 0; an anchor of size s and ratio r is s * sqrt(r) wide (times height /
        width of the map, for square anchors in a square map's pixels) and s / sqrt(r) high.
    device, dtype : of the result.

    Returns
    -------
    (1, height * width * (len(sizes) + len(ratios) - 1), 4), row by row, not cut at the border.

    Raises
    ------
    ValueError
        On sizes, ratios or a map size that are empty or not positive.
    """
    height, width = size
    if height < 1 or width < 1:
        raise ValueError(f"size must be (height, width), both at least 1, not {size}")
    for name, values in (("sizes", sizes), ("ratios", ratios)):
        if len(values) == 0 or not all(value > 0 for value in values):
            raise ValueError(f"{name} must hold at least one number, all above 0, not {list(values)}")
    centre_y = (torch.arange(height, device=device, dtype=dtype) + 0.5) / height
    centre_x = (torch.arange(width, device=device, dtype=dtype) + 0.5) / width
    shapes = [(side, ratios[0]) for side in sizes] + [(sizes[0], ratio) for ratio in ratios[1:]]
    wide = torch.tensor(
        [side * ratio**0.5 * height / width for side, ratio in shapes], device=device, dtype=dtype
    )
    high = torch.tensor([side / ratio**0.5 for side, ratio in shapes], device=device, dtype=dtype)
    x, y = centre_x[None, :, None], centre_y[:, None, None]
    edges = torch.broadcast_tensors(x - wide / 2, y - high / 2, x + wide / 2, y + high / 2)
    return torch.stack(edges, dim=-1).reshape(1, -1, 4)


@traceable
def multibox_target(
    anchors: torch.Tensor, labels: torch.Tensor, iou_threshold: float = 0.5, validate: bool = True
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What every anchor should predict.

    An anchor takes the ground truth box it overlaps most, if the IoU is at least `iou_threshold`. Besides,
    every box gets an anchor: of all pairs, the one of the largest IoU is joined, its anchor and box are set
    aside, and so on (ties: the first anchor, then the first box).

    Parameters
    ----------
    anchors : (1, A, 4) or (A, 4).
    labels : (B, G, 5): class from 0, and the box; a row of a negative class is padding.
    iou_threshold : see above.
    validate : check the arguments.

    Returns
    -------
    offsets (B, A * 4), 0 for background; mask (B, A * 4), 1 where an anchor has a box; classes int64 (B, A),
    0 for background, otherwise 1 + class.

    Raises
    ------
    ValueError
        On a wrong shape, type or device, NaN, infinity, or inverted boxes.
    """
    if validate:
        anchors = _checked_anchors(anchors)
        check_float("labels", labels, (None, None, 5))
        check_together(anchors=anchors, labels=labels)
        check_finite("labels", labels)
        check_ordered("labels", torch.where(labels[..., :1] < 0, torch.zeros_like(labels), labels)[..., 1:])
        check_number("iou_threshold", iou_threshold, 0, 1)
    anchors = anchors.reshape(-1, 4)
    batch, boxes = labels.shape[:2]
    count = anchors.shape[0]
    if boxes == 0:
        empty = anchors.new_zeros((batch, count * 4))
        return empty, empty.clone(), torch.zeros((batch, count), dtype=torch.int64, device=anchors.device)
    truth = labels[..., 1:].to(anchors.dtype)
    iou = box_iou(anchors, truth.reshape(-1, 4), validate=False).reshape(count, batch, boxes).transpose(0, 1)
    matched = _match(iou, labels[..., 0] >= 0, iou_threshold)  # (B, A), -1 for background
    positive = matched >= 0
    at = matched.clamp(min=0)
    boxes_of = truth.gather(1, at[..., None].expand(-1, -1, 4))
    classes = torch.where(positive, labels[..., 0].gather(1, at).long() + 1, 0)
    mask = positive[..., None].expand(-1, -1, 4).to(anchors.dtype)
    offsets = torch.where(positive[..., None], _encode(anchors, boxes_of), 0.0)
    return offsets.flatten(1), mask.flatten(1), classes


def _match(iou: torch.Tensor, real: torch.Tensor, threshold: float) -> torch.Tensor:
    """(B, A, G) and (B, G) -> for every anchor its box, or -1."""
    count, boxes = iou.shape[1:]
    iou = torch.where(real[:, None], iou, -1.0)
    nearest = iou.argmax(dim=2)
    matched = torch.where(iou.gather(2, nearest[..., None])[..., 0] >= threshold, nearest, -1)
    anchor_index, box_index = torch.arange(count, device=iou.device), torch.arange(boxes, device=iou.device)
    for _ in range(min(boxes, count)):
        best = iou.flatten(1).argmax(dim=1, keepdim=True)  # (B, 1)
        free = iou.flatten(1).gather(1, best) >= 0
        anchor, box = best // boxes, best % boxes
        chosen = anchor_index == anchor  # (B, A)
        matched = torch.where(chosen & free, box, matched)
        used = chosen[:, :, None] | (box_index == box)[:, None, :]
        iou = iou.masked_fill(used, -1.0)
    return matched


def _encode(anchors: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
    """Offsets from anchors (A, 4) to boxes (B, A, 4)."""
    anchors = box_convert(anchors, "xyxy", "cxcywh", validate=False)
    boxes = box_convert(boxes, "xyxy", "cxcywh", validate=False)
    centre = 10 * (boxes[..., :2] - anchors[:, :2]) / anchors[:, 2:]
    return torch.cat((centre, 5 * torch.log(LOG_GUARD + boxes[..., 2:] / anchors[:, 2:])), dim=-1)


def _decode(anchors: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
    """Boxes (B, A, 4) from anchors (A, 4) and offsets (B, A, 4)."""
    anchors = box_convert(anchors, "xyxy", "cxcywh", validate=False)
    centre = offsets[..., :2] * anchors[:, 2:] / 10 + anchors[:, :2]
    size = torch.exp(offsets[..., 2:] / 5) * anchors[:, 2:]
    return box_convert(torch.cat((centre, size), dim=-1), "cxcywh", "xyxy", validate=False)


@traceable
def multibox_detection(
    class_probs: torch.Tensor,
    offsets: torch.Tensor,
    anchors: torch.Tensor,
    nms_threshold: float = 0.5,
    pos_threshold: float = 0.009999999,
    validate: bool = True,
) -> torch.Tensor:
    """Detections from the predictions of all anchors.

    Each anchor stands for its most probable class; one suppression over all classes then removes boxes whose
    IoU with a kept one is greater than `nms_threshold`.

    Parameters
    ----------
    class_probs : (B, 1 + classes, A), background first.
    offsets : (B, A * 4).
    anchors : (1, A, 4) or (A, 4).
    nms_threshold : see above.
    pos_threshold : a detection of a lower probability becomes background.
    validate : check the arguments.

    Returns
    -------
    (B, A, 6): class (-1: background or suppressed), confidence, box. First the boxes kept by the suppression,
    by descending confidence, then the others in the order of the anchors. The confidence of what is below
    `pos_threshold` is that of background, 1 - p.

    Raises
    ------
    ValueError
        On a wrong shape, type or device, NaN, infinity, inverted anchors, or thresholds outside [0, 1].
    """
    if validate:
        anchors = _checked_anchors(anchors)
        check_float("class_probs", class_probs, (None, None, anchors.shape[-2]))
        if class_probs.shape[1] < 2:
            raise ValueError("class_probs must have background and at least one class in dimension 1")
        check_float("offsets", offsets, (None, anchors.shape[-2] * 4))
        check_same_length(class_probs=class_probs, offsets=offsets)
        check_together(class_probs=class_probs, offsets=offsets, anchors=anchors)
        check_finite("class_probs", class_probs)
        check_finite("offsets", offsets)
        check_number("nms_threshold", nms_threshold, 0, 1)
        check_number("pos_threshold", pos_threshold, 0, 1)
    anchors = anchors.reshape(-1, 4)
    batch, _, count = class_probs.shape
    boxes = _decode(anchors, offsets.reshape(batch, count, 4))
    classes = class_probs[:, 1:].argmax(dim=1)
    confidence = class_probs[:, 1:].gather(1, classes[:, None])[:, 0]
    together = torch.zeros_like(classes)  # one suppression over all classes
    kept, _ = nms_padded(
        boxes, confidence, together, nms_threshold, min_score=-torch.inf, max_out=count, validate=False
    )
    index = torch.arange(count, device=anchors.device)
    # Where each goes: by rank if kept; the others follow by index. Padding goes to a spare column.
    place = torch.cat((index + count, index.new_zeros(1))).expand(batch, -1)
    place = place.scatter(1, torch.where(kept >= 0, kept, count), index.expand(batch, -1))[:, :count]
    order = place.argsort(dim=1)
    suppressed = place.gather(1, order) >= count
    classes, confidence = classes.gather(1, order), confidence.gather(1, order)
    boxes = boxes.gather(1, order[..., None].expand(-1, -1, 4))
    weak = confidence < pos_threshold
    classes = torch.where(suppressed | weak, -1, classes)
    confidence = torch.where(weak, 1 - confidence, confidence)
    return torch.cat(
        (classes[..., None].to(boxes.dtype), confidence[..., None].to(boxes.dtype), boxes), dim=-1
    )


def _checked_anchors(anchors: torch.Tensor) -> torch.Tensor:
    shape = (1, None, 4) if isinstance(anchors, torch.Tensor) and anchors.dim() == 3 else (None, 4)
    check_float("anchors", anchors, shape)
    check_finite("anchors", anchors)
    check_ordered("anchors", anchors)
    return anchors
