"""NMS that lowers scores instead of dropping boxes: Soft-NMS and matrix NMS.

Boxes, types, ties and errors are those of `ops.nms`. Results are indices and lowered scores; no gradient
flows through them.
"""

from typing import Literal

import torch

from ops import reference_nms
from ops._library import define
from ops.checks import check_choice, check_integers, check_number
from ops.direct import traceable
from ops.nms import check_scored

METHODS = {"linear": 0, "gaussian": 1}

_soft_nms = define(
    "soft_nms(Tensor boxes, Tensor scores, int method, float iou_threshold, float sigma, float min_score) -> "
    "(Tensor, Tensor)",
    reference_nms.soft_nms,
)
_matrix_nms = define(
    "matrix_nms(Tensor boxes, Tensor scores, Tensor labels, int kernel, float sigma) -> Tensor",
    reference_nms.matrix_nms,
)


@traceable
def soft_nms(
    boxes: torch.Tensor,
    scores: torch.Tensor,
    *,
    method: Literal["linear", "gaussian"] = "gaussian",
    iou_threshold: float = 0.3,
    sigma: float = 0.5,
    min_score: float = 0.001,
    validate: bool = True,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Soft-NMS (arXiv 1704.04503): lower the scores of boxes that overlap better ones, and drop none for it.

    Parameters
    ----------
    boxes : (N, 4), float, xyxy.
    scores : (N,), float.
    method : "linear" multiplies by 1 - IoU where IoU > iou_threshold, "gaussian" by exp(-IoU^2 / sigma).
    min_score : a box takes part only while its score is greater than this.
    validate : see `nms`.

    Returns
    -------
    indices : (K,) int64, rows in the order of selection, which is that of the lowered scores.
    scores : (K,) float32 (float64 where an input is), the lowered scores.

    Raises
    ------
    ValueError
        Where an argument is wrong and `validate` is set.
    """
    if validate:
        check_scored(boxes, scores)
        check_choice("method", method, METHODS)
        check_number("iou_threshold", iou_threshold, 0, float("inf"))
        _check_sigma(sigma)
    return _soft_nms(boxes, scores, METHODS[method], iou_threshold, sigma, min_score)


@traceable
def matrix_nms(
    boxes: torch.Tensor,
    scores: torch.Tensor,
    labels: torch.Tensor | None = None,
    *,
    kernel: Literal["linear", "gaussian"] = "gaussian",
    sigma: float = 0.5,
    validate: bool = True,
) -> torch.Tensor:
    """Matrix NMS (arXiv 2003.10152): lower every score at once, by the better boxes of its label.

    A box j is lowered by the least f(IoU_ij) / f(max_k IoU_ki) over better boxes i and, for each, boxes k
    better still: a box that is suppressed itself suppresses less. f is 1 - IoU, or exp(-IoU^2 / sigma).

    Parameters
    ----------
    boxes : (N, 4), float, xyxy.
    scores : (N,), float.
    labels : (N,), integers; None for one class.
    kernel : f.
    sigma : width of the gaussian; SOLOv2's code writes its inverse, 2.
    validate : see `nms`.

    Returns
    -------
    (N,) float32 (float64 where an input is): the lowered scores, in the order given.

    Raises
    ------
    ValueError
        Where an argument is wrong and `validate` is set.
    """
    if validate:
        if labels is None:
            check_scored(boxes, scores)
        else:
            check_integers("labels", labels, (None,))
            check_scored(boxes, scores, labels=labels)
        check_choice("kernel", kernel, METHODS)
        _check_sigma(sigma)
    if labels is None:
        labels = torch.zeros(scores.shape, dtype=torch.int64, device=scores.device)
    return _matrix_nms(boxes, scores, labels, METHODS[kernel], sigma)


def _check_sigma(sigma: float) -> None:
    if not 0 < sigma < float("inf"):
        raise ValueError(f"sigma must be positive and finite, not {sigma}")


@torch.library.register_fake("podium::soft_nms")
def _(boxes, scores, method, iou_threshold, sigma, min_score) -> tuple[torch.Tensor, torch.Tensor]:
    size = torch.library.get_ctx().new_dynamic_size()
    return boxes.new_empty(size, dtype=torch.int64), boxes.new_empty(size, dtype=_result_type(boxes, scores))


@torch.library.register_fake("podium::matrix_nms")
def _(boxes, scores, labels, kernel, sigma) -> torch.Tensor:
    return torch.empty_like(scores, dtype=_result_type(boxes, scores), memory_format=torch.contiguous_format)


def _result_type(boxes: torch.Tensor, scores: torch.Tensor) -> torch.dtype:
    return torch.float64 if torch.float64 in (boxes.dtype, scores.dtype) else torch.float32


for _name in ("soft_nms", "matrix_nms"):
    for _device in ("cpu", "cuda"):
        torch.library.register_autocast(f"podium::{_name}", _device, torch.float32)
