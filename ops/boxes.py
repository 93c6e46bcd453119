"""Boxes: area, format conversion, clipping, and pairwise IoU with its variants.

Boxes are rows of four numbers; unless said otherwise ``xyxy``: x1, y1, x2, y2 with x1 <= x2 and y1 <= y2, without any
"+1 pixel".
"""

from typing import Literal

import torch

from ops import reference
from ops._library import define
from ops.checks import check_float, check_ordered, check_together

BoxFormat = Literal["xyxy", "xywh", "cxcywh"]
KINDS = {"iou": 0, "giou": 1, "diou": 2, "ciou": 3}

_pairwise_iou = define("pairwise_iou(Tensor boxes1, Tensor boxes2, int kind) -> Tensor", reference.pairwise_iou)


@torch.library.register_fake("podium::pairwise_iou")
def _(boxes1: torch.Tensor, boxes2: torch.Tensor, kind: int) -> torch.Tensor:
    dtype = torch.float64 if boxes1.dtype == torch.float64 else torch.float32
    return boxes1.new_empty((boxes1.shape[0], boxes2.shape[0]), dtype=dtype)
