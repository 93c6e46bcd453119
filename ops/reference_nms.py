"""Non-maximum suppression in plain torch, as the papers write it: oracle of the tests, and fallback."""

import math

import torch

from ops.reference import computed
from ops.reference_boxes import pairwise_iou


def nms(
    boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float, kind: int, max_out: int
) -> torch.Tensor:
    """Kept rows of boxes (N, 4) by descending score; kind 0 iou, 1 giou, 2 diou; max_out -1 for all."""
    boxes, scores = _common(boxes, scores)
    order = scores.sort(descending=True, stable=True).indices
    boxes, kept = boxes[order], []
    alive = torch.ones(len(order), dtype=torch.bool, device=boxes.device)
    for rank in range(len(order)):
        if len(kept) == max_out:
            break
        if alive[rank]:
            kept.append(rank)
            # The threshold is a double: compared with a float32, it would be rounded first.
            alive &= ~(pairwise_iou(boxes[rank : rank + 1], boxes, kind)[0].double() > iou_threshold)
    return order[torch.tensor(kept, dtype=torch.int64, device=order.device)]


def batched_nms(
    boxes: torch.Tensor,
    scores: torch.Tensor,
    idxs: torch.Tensor,
    iou_threshold: float,
    kind: int,
    max_out: int,
) -> torch.Tensor:
    """`nms` within each value of `idxs`; the result is by descending score over all of them."""
    boxes, scores = _common(boxes, scores)
    keep = torch.zeros(len(scores), dtype=torch.bool, device=scores.device)
    for label in idxs.unique():
        rows = (idxs == label).nonzero()[:, 0]
        keep[rows[nms(boxes[rows], scores[rows], iou_threshold, kind, -1)]] = True
    order = scores.sort(descending=True, stable=True).indices
    kept = order[keep[order]]
    return kept if max_out < 0 else kept[:max_out].clone()


def nms_padded(
    boxes: torch.Tensor,
    scores: torch.Tensor,
    labels: torch.Tensor,
    iou_threshold: float,
    min_score: float,
    kind: int,
    max_out: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """`batched_nms` of B images: indices (B, max_out), padded with -1, and their counts (B,).

    A min_score of NaN leaves no score out.
    """
    indices = labels.new_full((len(boxes), max_out), -1, dtype=torch.int64)
    counts = labels.new_zeros(len(boxes), dtype=torch.int64)
    for image, (box, score, label) in enumerate(zip(boxes, scores, labels, strict=True)):
        rows = ((label >= 0) & ((score.double() > min_score) | math.isnan(min_score))).nonzero()[:, 0]
        kept = rows[batched_nms(box[rows], score[rows], label[rows], iou_threshold, kind, max_out)]
        indices[image, : len(kept)] = kept
        counts[image] = len(kept)
    return indices, counts


def soft_nms(
    boxes: torch.Tensor,
    scores: torch.Tensor,
    method: int,
    iou_threshold: float,
    sigma: float,
    min_score: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Selected rows and their decayed scores (arXiv 1704.04503); method 0 linear, 1 gaussian."""
    boxes, scores = _common(boxes, scores)
    scores, kept, decayed = scores.clone(), [], []
    while len(scores):
        scores[~(scores.double() > min_score)] = float("-inf")  # also what became NaN
        best = int(scores.argmax())
        if scores[best] == float("-inf"):
            break
        kept.append(best)
        decayed.append(scores[best].clone())
        iou = pairwise_iou(boxes[best : best + 1], boxes, 0)[0]
        if method == 0:
            factor = torch.where(iou.double() > iou_threshold, 1 - iou, 1)
        else:
            factor = torch.where(iou > 0, torch.exp(-(iou * iou) / sigma), 1)
        scores = scores * factor
        scores[best] = float("-inf")
    selected = torch.tensor(kept, dtype=torch.int64, device=scores.device)
    return selected, torch.stack(decayed) if decayed else scores.new_zeros(0)


def matrix_nms(
    boxes: torch.Tensor, scores: torch.Tensor, labels: torch.Tensor, kernel: int, sigma: float
) -> torch.Tensor:
    """Decayed scores (N,) in the order given (arXiv 2003.10152); kernel 0 linear, 1 gaussian."""
    boxes, scores = _common(boxes, scores)
    order = scores.sort(descending=True, stable=True).indices
    iou = pairwise_iou(boxes[order], boxes[order], 0)
    # iou[i, j] counts where i is before j and has its label; compensate[i] is how much i is suppressed.
    iou = (iou * (labels[order][:, None] == labels[order])).triu(diagonal=1).clamp(max=1)
    if not len(order):
        return scores.clone()
    compensate = iou.amax(dim=0)[:, None]
    if kernel == 0:
        decay = torch.where(compensate < 1, (1 - iou) / (1 - compensate), 1).amin(dim=0)
    else:
        decay = torch.exp(-(iou.square() - compensate.square()).amax(dim=0) / sigma)
    ordered = scores[order]
    lowered = torch.where(ordered.isneginf(), ordered, ordered * decay.clamp(max=1))  # not -infinity * 0
    return torch.empty_like(scores).index_copy(0, order, lowered)


def nms_valid(boxes: torch.Tensor, scores: torch.Tensor) -> bool:
    """Whether boxes are finite with x1 <= x2 and y1 <= y2, and scores neither NaN nor infinity; -infinity is
    a score."""
    finite = torch.isfinite(boxes).all() & (scores < float("inf")).all()
    return bool(finite & (boxes[:, :2] <= boxes[:, 2:]).all())


def _common(boxes: torch.Tensor, scores: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Both in float32, or in float64 where either is."""
    dtype = torch.promote_types(computed(boxes[:0]).dtype, computed(scores[:0]).dtype)
    return boxes.to(dtype), scores.to(dtype)
