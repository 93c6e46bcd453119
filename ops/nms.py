"""Non-maximum suppression: plain, per class, and over a batch of images.

Boxes are ``xyxy`` rows with x1 <= x2 and y1 <= y2, without any "+1 pixel". Everything is computed in float32
(float64 where boxes or scores are), whatever the type of the inputs. Equal scores go by index, lowest first.
The IoU of two boxes without area is 0. Results are indices; no gradient flows through them.
"""

from typing import Literal

import torch
from torch.overrides import handle_torch_function, has_torch_function

from ops import checks, reference_nms
from ops._library import LOADED, define
from ops.checks import (
    check_choice,
    check_finite,
    check_float,
    check_integers,
    check_number,
    check_ordered,
    check_same_length,
    check_scores,
    check_together,
)
from ops.direct import are_plain, define_direct, traceable

SuppressionKind = Literal["iou", "giou", "diou"]
KINDS = {"iou": 0, "giou": 1, "diou": 2}
ANY_SCORE = float("nan")
"""As min_score of the padded operator: no score is too low; -infinity would leave out scores of -infinity."""

_nms = define(
    "nms(Tensor boxes, Tensor scores, float iou_threshold, int kind, int max_out) -> Tensor",
    reference_nms.nms,
)
_batched_nms = define(
    "batched_nms(Tensor boxes, Tensor scores, Tensor idxs, float iou_threshold, int kind, int max_out) -> "
    "Tensor",
    reference_nms.batched_nms,
)
_nms_padded = define(
    "nms_padded(Tensor boxes, Tensor scores, Tensor labels, float iou_threshold, float min_score, int kind, "
    "int max_out) -> (Tensor, Tensor)",
    reference_nms.nms_padded,
)
_nms_valid = define("nms_valid(Tensor boxes, Tensor scores) -> bool", reference_nms.nms_valid)
_direct_nms = define_direct(
    "direct_nms(Tensor boxes, Tensor scores, float iou_threshold, int kind, int max_out) -> Tensor"
)
_direct_batched_nms = define_direct(
    "direct_batched_nms(Tensor boxes, Tensor scores, Tensor idxs, float iou_threshold, int kind, int max_out)"
    " -> Tensor"
)


def nms(
    boxes: torch.Tensor,
    scores: torch.Tensor,
    iou_threshold: float,
    *,
    kind: SuppressionKind = "iou",
    max_out: int | None = None,
    validate: bool = True,
) -> torch.Tensor:
    """Greedy non-maximum suppression: drop every box that overlaps a better one too much.

    Parameters
    ----------
    boxes : (N, 4), float, xyxy.
    scores : (N,), float; -infinity is a score like others, and the last.
    iou_threshold : a box is dropped where its IoU with a kept box is greater than this; equality survives. At
        least 0 for IoU, -1 for the others; 1 and more drops nothing.
    kind : measure that is compared with the threshold: IoU, or GIoU (arXiv 1902.09630) or DIoU
        (arXiv 1911.08287), which may be negative.
    max_out : stop after this many; the result is that of ``[:max_out]``, much sooner.
    validate : check shapes, types, NaN, infinite and inverted boxes. On a GPU this waits for it.

    Returns
    -------
    (K,) int64: rows of the kept boxes, by descending score. Under ``torch.vmap`` K is max_out, or N without
    one, and rows are padded with -1.

    Raises
    ------
    ValueError
        Where an argument is wrong and `validate` is set.
    """
    limit = -1 if max_out is None else max_out
    if are_plain(boxes, scores) and (limit >= 0 or max_out is None):
        try:
            return _direct_nms(boxes, scores, iou_threshold, KINDS.get(kind, -1), limit)
        except RuntimeError:  # the checks below say why
            pass
    if has_torch_function((boxes, scores)):
        how = {"kind": kind, "max_out": max_out, "validate": validate}
        return handle_torch_function(nms, (boxes, scores), boxes, scores, iou_threshold, **how)
    if validate:
        check_scored(boxes, scores)
        _check_options(iou_threshold, kind, max_out)
    return _nms(boxes, scores, iou_threshold, KINDS[kind], limit)


def batched_nms(
    boxes: torch.Tensor,
    scores: torch.Tensor,
    idxs: torch.Tensor,
    iou_threshold: float,
    *,
    kind: SuppressionKind = "iou",
    max_out: int | None = None,
    validate: bool = True,
) -> torch.Tensor:
    """`nms` within each class: boxes with different `idxs` never suppress one another.

    Parameters
    ----------
    idxs : (N,), integers of any value: classes, or numbers for pairs of an image and a class.
    boxes : (N, 4), or (0,) for none, as torchvision takes it.
    max_out : limit for all classes together.

    The other parameters, the errors and the result are those of `nms`; the result is by descending score over
    all classes.
    """
    limit = -1 if max_out is None else max_out
    if are_plain(boxes, scores) and type(idxs) is torch.Tensor and (limit >= 0 or max_out is None):
        try:
            return _direct_batched_nms(boxes, scores, idxs, iou_threshold, KINDS.get(kind, -1), limit)
        except RuntimeError:  # the checks below say why
            pass
    if has_torch_function((boxes, scores, idxs)):
        tensors, how = (boxes, scores, idxs), {"kind": kind, "max_out": max_out, "validate": validate}
        return handle_torch_function(batched_nms, tensors, *tensors, iou_threshold, **how)
    if isinstance(boxes, torch.Tensor) and boxes.dim() == 1 and boxes.shape[0] == 0:
        boxes = boxes.reshape(0, 4)
    if validate:
        check_integers("idxs", idxs, (None,))
        check_scored(boxes, scores, idxs=idxs)
        _check_options(iou_threshold, kind, max_out)
    return _batched_nms(boxes, scores, idxs, iou_threshold, KINDS[kind], limit)


@traceable
def nms_padded(
    boxes: torch.Tensor,
    scores: torch.Tensor,
    labels: torch.Tensor | None,
    iou_threshold: float,
    max_out: int,
    *,
    min_score: float = float("-inf"),
    kind: SuppressionKind = "iou",
    validate: bool = True,
) -> tuple[torch.Tensor, torch.Tensor]:
    """`batched_nms` of a batch of images, with a result of fixed size: it compiles without a synchronisation.

    Parameters
    ----------
    boxes : (B, N, 4), float, xyxy; images with fewer boxes are padded, see `labels`.
    scores : (B, N), float.
    labels : (B, N), integers; negative where there is no box. None: one class, and every row is a box.
    iou_threshold, kind : see `nms`.
    max_out : number of boxes for each image, over all its classes.
    min_score : only boxes with a greater score take part, so that -infinity masks one always.
    validate : see `nms`.

    Returns
    -------
    indices : (B, max_out) int64, rows into N by descending score, padded with -1.
    counts : (B,) int64, how many there are.

    Raises
    ------
    ValueError
        Where an argument is wrong and `validate` is set.
    """
    if validate:
        check_float("boxes", boxes, (None, None, 4))
        check_float("scores", scores, tuple(boxes.shape[:2]))
        check_together(boxes=boxes, scores=scores)
        if labels is not None:
            check_integers("labels", labels, tuple(boxes.shape[:2]))
            check_together(boxes=boxes, labels=labels)
        if max_out < 0:
            raise ValueError(f"max_out must not be negative, not {max_out}")
        check_number("min_score", min_score, float("-inf"), float("inf"))
        _check_options(iou_threshold, kind, max_out)
        _check_values(boxes.reshape(-1, 4), scores.reshape(-1))
    if labels is None:
        labels = torch.zeros(scores.shape, dtype=torch.int64, device=scores.device)
    return _nms_padded(boxes, scores, labels, iou_threshold, min_score, KINDS[kind], max_out)


def check_scored(boxes: torch.Tensor, scores: torch.Tensor, **others: torch.Tensor) -> None:
    """Raise ValueError unless these are boxes (N, 4), scores (N,) and `others` of the same length and device,
    without NaN, infinite or inverted ones."""
    check_float("boxes", boxes, (None, 4))
    check_float("scores", scores, (None,))
    check_same_length(boxes=boxes, scores=scores, **others)
    check_together(boxes=boxes, scores=scores, **others)
    _check_values(boxes, scores)


def _check_values(boxes: torch.Tensor, scores: torch.Tensor) -> None:
    if not checks.can_look(boxes) or not checks.can_look(scores):
        return
    if LOADED.cpu and boxes.device.type == "cpu" and _nms_valid(boxes, scores):  # one pass instead of nine
        return
    check_finite("boxes", boxes)
    check_scores("scores", scores)
    check_ordered("boxes", boxes)


def _check_options(iou_threshold: float, kind: str, max_out: int | None) -> None:
    check_choice("kind", kind, KINDS)
    check_number("iou_threshold", iou_threshold, 0 if kind == "iou" else -1, float("inf"))
    if max_out is not None and max_out < 0:
        raise ValueError(f"max_out must be None or not negative, not {max_out}")


@torch.library.register_fake("podium::nms")
def _(
    boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float, kind: int, max_out: int
) -> torch.Tensor:
    return boxes.new_empty(torch.library.get_ctx().new_dynamic_size(), dtype=torch.int64)


@torch.library.register_fake("podium::batched_nms")
def _(
    boxes: torch.Tensor, scores: torch.Tensor, idxs, iou_threshold: float, kind: int, max_out: int
) -> torch.Tensor:
    return boxes.new_empty(torch.library.get_ctx().new_dynamic_size(), dtype=torch.int64)


@torch.library.register_fake("podium::nms_padded")
def _(boxes, scores, labels, iou_threshold, min_score, kind, max_out) -> tuple[torch.Tensor, torch.Tensor]:
    counts = boxes.new_empty(boxes.shape[0], dtype=torch.int64)
    return boxes.new_empty((boxes.shape[0], max_out), dtype=torch.int64), counts


def _front(tensor: torch.Tensor, dim: int | None, size: int) -> torch.Tensor:
    """`tensor` with the dimension vmap maps over in front."""
    return tensor.expand(size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)


def _numbered(labels: torch.Tensor) -> torch.Tensor:
    """Labels (B, N) as numbers from 0 on, the same ones where labels of a row are the same.

    By sorting: a difference of two labels may be beyond their type, whatever it is.
    """
    ascending, order = labels.long().sort(dim=1)
    changes = (ascending[:, 1:] != ascending[:, :-1]).long().cumsum(dim=1)
    return torch.zeros_like(order).scatter(1, order[:, 1:], changes)


def _map_nms(info, dims, boxes, scores, iou_threshold, kind, max_out):
    boxes, scores = _front(boxes, dims[0], info.batch_size), _front(scores, dims[1], info.batch_size)
    limit = scores.shape[1] if max_out < 0 else max_out
    labels = torch.zeros(scores.shape, dtype=torch.int64, device=scores.device)
    return _nms_padded(boxes, scores, labels, iou_threshold, ANY_SCORE, kind, limit)[0], 0


def _map_batched_nms(info, dims, boxes, scores, idxs, iou_threshold, kind, max_out):
    boxes, scores, idxs = (
        _front(tensor, dim, info.batch_size) for tensor, dim in zip((boxes, scores, idxs), dims, strict=False)
    )
    limit = scores.shape[1] if max_out < 0 else max_out
    # Here a negative label is no padding.
    return _nms_padded(boxes, scores, _numbered(idxs), iou_threshold, ANY_SCORE, kind, limit)[0], 0


def _map_nms_padded(info, dims, boxes, scores, labels, iou_threshold, min_score, kind, max_out):
    boxes, scores, labels = (
        _front(tensor, dim, info.batch_size)
        for tensor, dim in zip((boxes, scores, labels), dims, strict=False)
    )
    indices, counts = _nms_padded(
        boxes.flatten(0, 1),
        scores.flatten(0, 1),
        labels.flatten(0, 1),
        iou_threshold,
        min_score,
        kind,
        max_out,
    )
    shape = scores.shape[:2]
    return (indices.reshape(*shape, max_out), counts.reshape(shape)), (0, 0)


for _name, _mapped in (
    ("nms", _map_nms),
    ("batched_nms", _map_batched_nms),
    ("nms_padded", _map_nms_padded),
):
    torch.library.register_vmap(f"podium::{_name}", _mapped)
    for _device in ("cpu", "cuda"):
        torch.library.register_autocast(f"podium::{_name}", _device, torch.float32)
