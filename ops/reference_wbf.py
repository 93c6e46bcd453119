"""Weighted box fusion in plain torch, one box at a time as the paper has it: oracle and fallback."""

import torch

from ops.reference import computed


def weighted_boxes_fusion(
    boxes: torch.Tensor,
    scores: torch.Tensor,
    labels: torch.Tensor,
    models: torch.Tensor,
    weights: torch.Tensor,
    iou_threshold: float,
    skip_score: float,
    score_type: int,
    allows_overflow: bool,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Boxes (N, 4), scores, labels and models (N,), weights (M,) -> boxes, scores, labels, best first."""
    device, dtype = boxes.device, computed(boxes).dtype
    boxes, weights = computed(boxes).cpu(), weights.double().cpu()
    scores, labels, models = scores.to(dtype).cpu(), labels.cpu(), models.cpu()
    size = boxes[:, 2:] - boxes[:, :2]
    taken = (scores >= skip_score) & (size > 0).all(dim=1) & (models >= 0) & (models < len(weights))
    taken &= size.prod(dim=1) > 0
    weighted = (
        scores.double() * weights[models.clamp(0, max(len(weights) - 1, 0))]
        if len(weights)
        else scores.double()
    )
    clusters: list[list[int]] = []
    fused: list[torch.Tensor] = []
    order = torch.where(weighted.isnan(), -torch.inf, weighted).sort(descending=True, stable=True).indices
    for index in [i for i in order.tolist() if taken[i]]:
        best, match = iou_threshold, -1
        for at, members in enumerate(clusters):
            overlap = _iou(boxes[index], fused[at]) if labels[members[0]] == labels[index] else 0.0
            if overlap > best:
                best, match = overlap, at
        if match < 0:
            clusters.append([index])
            fused.append(boxes[index])
            continue
        clusters[match].append(index)
        part = weighted[clusters[match]]
        if part.sum() > 0:  # boxes of score 0 have no say, nor may they divide by it
            fused[match] = ((boxes[clusters[match]] * part[:, None]).sum(dim=0) / part.sum()).to(dtype)
    results = []
    for box, members in zip(fused, clusters, strict=True):
        score = _score(weighted[members], models[members], weights, score_type, allows_overflow)
        results.append((-score, members[0], box, labels[members[0]]))
    results.sort(key=lambda result: result[:2])
    out_boxes = torch.stack([result[2] for result in results]) if results else boxes.new_empty((0, 4))
    out_scores = torch.tensor([-result[0] for result in results], dtype=dtype)
    out_labels = torch.tensor([int(result[3]) for result in results], dtype=torch.int64)
    return out_boxes.to(device), out_scores.to(device), out_labels.to(device)


def _iou(one: torch.Tensor, two: torch.Tensor) -> float:
    size = (torch.minimum(one[2:], two[2:]) - torch.maximum(one[:2], two[:2])).clamp(min=0)
    inter = size.prod()
    return (
        float(inter / ((one[2:] - one[:2]).prod() + (two[2:] - two[:2]).prod() - inter)) if inter > 0 else 0.0
    )


def _score(
    weighted: torch.Tensor,
    models: torch.Tensor,
    weights: torch.Tensor,
    score_type: int,
    allows_overflow: bool,
) -> float:
    """Score of a cluster whose members have these weighted scores and come from these models."""
    total, everything, count = _sum(weighted), _sum(weights), len(weighted)
    if score_type == 0:  # avg
        score = total / everything * (1 if allows_overflow else min(len(weights), count) / count)
    elif score_type == 1:  # max
        score = weighted.max() / weights.max()
    else:  # box_and_model_avg
        score = total / _sum(weights[models]) * (_sum(weights[models.unique()]) / everything)
    if not allows_overflow:
        score = score.clamp(max=1.0)
    return float(score) if torch.isfinite(score) else 0.0


def _sum(values: torch.Tensor) -> torch.Tensor:
    """Sum from first to last: rounded as the kernel does, so that nearly equal scores have its order."""
    total = values.new_zeros(())
    for value in values:
        total = total + value
    return total
