"""Intersections over union of predicted and true objects, for `pipeline.metrics.objects`."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
import pandas as pd
import torch
from faster_coco_eval.core import mask as coco_mask

from ops import box_iou
from pipeline.frame.boxes import box_array
from pipeline.frame.coco_masks import run_lengths


def overlaps(
    truth: pd.DataFrame, predictions: pd.DataFrame, kind: Literal["bbox", "segm"] = "bbox"
) -> Iterator[np.ndarray]:
    """float64 (P, G) of each image in turn, whatever the classes; predictions in their order, which is that
    of descending scores.

    Parameters
    ----------
    truth, predictions : frames with the same images in the same order; see `pipeline.frame.boxes`.
    kind : overlap of boxes or of masks; the masks of a frame without any are its boxes. For masks `truth`
        needs width and height.
    """
    if kind == "bbox":
        for found, true in zip(predictions["boxes"], truth["boxes"], strict=True):
            pair = (torch.from_numpy(box_array(cell)) for cell in (found, true))
            yield box_iou(*pair, validate=False).numpy()
        return
    sizes = zip(truth["height"], truth["width"], strict=True)
    for found, true, size in zip(_masks(predictions), _masks(truth), sizes, strict=True):
        left, right = (
            [run_lengths(mask, box, *map(int, size)) for mask, box in one] for one in (found, true)
        )
        if left and right:
            yield np.asarray(coco_mask.iou(left, right, [0] * len(right)), dtype="float64").clip(0, 1)
        else:
            yield np.zeros((len(left), len(right)))


def _masks(frame: pd.DataFrame) -> Iterator[list[tuple[str, list[float]]]]:
    """Mask and box of each object of each image."""
    cells = frame["masks"] if "masks" in frame else [[""] * len(boxes) for boxes in frame["boxes"]]
    for masks, boxes in zip(cells, frame["boxes"], strict=True):
        yield list(zip(masks, box_array(boxes).tolist(), strict=True))
