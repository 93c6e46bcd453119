"""Weighted box fusion (arXiv 1910.13302): the detections of several models, fused rather than suppressed."""

from collections.abc import Sequence
from typing import Literal

import torch

from ops import reference_wbf
from ops._library import define
from ops.checks import (
    check_choice,
    check_finite,
    check_float,
    check_integers,
    check_number,
    check_ordered,
    check_same_length,
    check_together,
)
from ops.direct import traceable

ScoreType = Literal["avg", "max", "box_and_model_avg"]
SCORE_TYPES = {"avg": 0, "max": 1, "box_and_model_avg": 2}

_weighted_boxes_fusion = define(
    "weighted_boxes_fusion(Tensor boxes, Tensor scores, Tensor labels, Tensor models, Tensor weights, "
    "float iou_threshold, float skip_score, int score_type, bool allows_overflow) -> "
    "(Tensor, Tensor, Tensor)",
    reference_wbf.weighted_boxes_fusion,
)


@torch.library.register_fake("podium::weighted_boxes_fusion")
def _(
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
    count = torch.library.get_ctx().new_dynamic_size()
    dtype = torch.float64 if boxes.dtype == torch.float64 else torch.float32
    return (
        boxes.new_empty((count, 4), dtype=dtype),
        boxes.new_empty((count,), dtype=dtype),
        labels.new_empty((count,), dtype=torch.int64),
    )


for _device in ("cpu", "cuda"):
    torch.library.register_autocast("podium::weighted_boxes_fusion", _device, torch.float32)


@traceable
def weighted_boxes_fusion(
    boxes_list: Sequence[torch.Tensor],
    scores_list: Sequence[torch.Tensor],
    labels_list: Sequence[torch.Tensor],
    weights: Sequence[float] | None = None,
    iou_threshold: float = 0.55,
    skip_box_threshold: float = 0.0,
    score_type: ScoreType = "avg",
    allows_overflow: bool = False,
    validate: bool = True,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Fuse the detections of several models of one image.

    Boxes are taken by descending score times model weight (ties: the earlier model, then the lower index).
    Each joins the cluster of its label whose fused box it overlaps most, if by strictly more than
    `iou_threshold` (ties: the older cluster), and the fused box becomes the mean of its members, weighted by
    weighted score; or it starts a cluster.

    Parameters
    ----------
    boxes_list : for each model (N_i, 4), xyxy, in any units (ensemble-boxes clips to [0, 1]; this does not).
        Boxes without area are left out.
    scores_list, labels_list : for each model (N_i,): scores, at least 0, and integer labels.
    weights : of the models, at least 0; equal if None.
    iou_threshold : see above.
    skip_box_threshold : boxes with a score below this are left out.
    score_type : of a fused box. "avg": sum of the weighted scores over the sum of the weights, times
        min(models, boxes) / boxes unless overflow is allowed; "max": the largest weighted score over the
        largest weight; "box_and_model_avg": the weighted mean over boxes, times the share of the weights
        whose models take part.
    allows_overflow : let scores exceed 1. Without it they are cut at 1 (ensemble-boxes exceeds 1 with unequal
        weights).
    validate : check the arguments.

    Returns
    -------
    boxes (K, 4), scores (K,), labels int64 (K,), by descending score (ties: by the first box of the cluster).
    float64 for float64 boxes, otherwise float32. Not differentiable.

    Raises
    ------
    ValueError
        On lists of unequal length, a wrong shape, type or device, NaN, infinity, inverted boxes, negative
        scores or weights, weights that are all 0, or an unknown score type.
    """
    check_choice("score_type", score_type, SCORE_TYPES)
    if validate:
        _check_lists(boxes_list, scores_list, labels_list, weights)
        check_number("iou_threshold", iou_threshold, 0, 1)
        check_number("skip_box_threshold", skip_box_threshold, -torch.inf, torch.inf)
    boxes, scores = torch.cat(list(boxes_list)).detach(), torch.cat(list(scores_list)).detach()
    labels = torch.cat([labels.long() for labels in labels_list])
    if validate:
        check_finite("boxes_list, concatenated,", boxes)
        check_finite("scores_list, concatenated,", scores)
        check_ordered("boxes_list, concatenated,", boxes)
        _check_not_negative(scores)
    models = torch.cat([torch.full((len(one),), index) for index, one in enumerate(boxes_list)])
    share = torch.ones(len(boxes_list), dtype=torch.float64)
    if weights is not None:
        share = torch.tensor([float(weight) for weight in weights], dtype=torch.float64)
    return _weighted_boxes_fusion(
        boxes,
        scores,
        labels,
        models.to(boxes.device),
        share.to(boxes.device),
        iou_threshold,
        skip_box_threshold,
        SCORE_TYPES[score_type],
        allows_overflow,
    )


def _check_lists(
    boxes_list: Sequence[torch.Tensor],
    scores_list: Sequence[torch.Tensor],
    labels_list: Sequence[torch.Tensor],
    weights: Sequence[float] | None,
) -> None:
    if len(boxes_list) == 0:
        raise ValueError("boxes_list is empty: it must hold the boxes of at least one model")
    others = {"scores_list": scores_list, "labels_list": labels_list}
    for name, values in others.items() if weights is None else (others | {"weights": weights}).items():
        if len(values) != len(boxes_list):
            raise ValueError(f"{name} has {len(values)} entries and boxes_list has {len(boxes_list)}")
    for index, (boxes, scores, labels) in enumerate(zip(boxes_list, scores_list, labels_list, strict=True)):
        names = [f"{name}[{index}]" for name in ("boxes_list", "scores_list", "labels_list")]
        check_float(names[0], boxes, (None, 4))
        check_float(names[1], scores, (None,))
        check_integers(names[2], labels, (None,))
        check_same_length(**dict(zip(names, (boxes, scores, labels), strict=True)))
        check_together(
            **{"boxes_list[0]": boxes_list[0], names[0]: boxes, names[1]: scores, names[2]: labels}
        )
        if boxes.dtype != boxes_list[0].dtype:
            raise ValueError(
                f"{names[0]} is {boxes.dtype} and boxes_list[0] {boxes_list[0].dtype}: convert one"
            )
    if weights is not None:
        for index, weight in enumerate(weights):
            check_number(f"weights[{index}]", float(weight), 0, 1e300)
        if not any(float(weight) > 0 for weight in weights):
            raise ValueError("weights are all 0: at least one must be above")


def _check_not_negative(scores: torch.Tensor) -> None:
    # By check_ordered, which knows when values can be looked at: a score below 0 is a box of negative size.
    zero = torch.zeros_like(scores)
    try:
        check_ordered("scores", torch.stack((zero, zero, scores, zero), dim=-1))
    except ValueError:
        row = int((scores < 0).nonzero()[0])
        raise ValueError(f"scores_list, concatenated, holds a score below 0, first in row {row}") from None
