"""Boxes in pixels of the original image: letterboxed batches, views, slices, and their fusion."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import albumentations as A
import cv2
import numpy as np
import pandas as pd
import torch
from faster_coco_eval.core import mask as coco_mask
from torch import nn

from ops import batched_nms, weighted_boxes_fusion
from pipeline.inputs.batches import sized_images
from pipeline.inputs.preprocess import Preprocess, letterbox, normalise, squash
from pipeline.networks.detection.parts import Detector
from pipeline.prediction.request import Request, images_at_once
from pipeline.prediction.turns import Turn, boxes_back, turned_array, turns_of
from pipeline.tasks.detection.config import PredictConfig

FUSION_IOU, MARGIN = 0.55, 0.05
"""IoU above which boxes of several views or models are one object (the value of arXiv 1910.13302), but by a
margin more than what suppression leaves in one view: else the leftovers of one view count as further,
doubting views of an object, and pull its score and its edges away (on generated data: AP 0.70 instead of
0.82)."""
STRIDE = 32
"""Input sides of other scales are multiples of this."""

UPRIGHT = Turn(mirrored=False, quarters=0)

Found = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""boxes float32 (K, 4), scores (K,) and labels int64 (K,) of one image."""


def predict_boxes(model: Detector, request: Request[PredictConfig]) -> Iterator[pd.DataFrame]:
    """Rows of the predictions frame, a batch at a time.

    Masks have no mean over views: they are there where the network has them and looks at each image once.
    """
    config = request.config
    views = list(product(config.scales, turns_of(config)))
    with_masks = model_has_masks(model) and len(views) == 1 and not config.tile
    count = images_at_once(config, _input_size(request.preprocess, max(config.scales)))
    loaded = sized_images(
        request.images, request.rows, request.preprocess, _as_they_are, count, request.loaders
    )
    for rows, sized in loaded:
        images, sizes = (
            [image.numpy() for image, _ in sized],
            [(height, width) for _, (height, width) in sized],
        )
        found: list[list[Found]] = [[] for _ in images]
        masks: list[list[str]] = []
        for scale, turn in views:
            for number, detected in enumerate(_detect(model, images, sizes, request, scale, turn)):
                found[number].append(detected[:3])
                if with_masks:
                    masks.append(_as_json(detected[3], sizes[number]))
        if config.tile:
            for number, image in enumerate(images):
                slices = _detect_slices(model, image, request)
                if slices:
                    found[number] = [_suppressed([whole, slices], config.nms_iou) for whole in found[number]]
        fused = [fuse(lists, config) for lists in found]
        ids = request.images.frame["image_id"].iloc[rows]
        yield to_frame(ids.tolist(), fused, request.classes, masks if with_masks else None)


def model_has_masks(model: nn.Module) -> bool:
    """Whether a detector also gives masks."""
    return getattr(model, "mask_head", None) is not None


def _as_they_are(preprocess: Preprocess) -> list[A.BasicTransform]:
    """No steps: each scale is made from the image itself."""
    return []


def _detect(
    model: Detector,
    images: Sequence[np.ndarray],
    sizes: Sequence[tuple[int, ...]],
    request: Request[PredictConfig],
    scale: float,
    turn: Turn,
) -> Iterator[tuple[Any, ...]]:
    """Boxes of each image in pixels of its own size, from one batch of inputs; masks in the network's.

    Parameters
    ----------
    sizes : height and width of each image, which may have been made smaller.
    """
    config, preprocess = (
        request.config,
        replace(request.preprocess, size=_input_size(request.preprocess, scale)),
    )
    resize, pad = letterbox(preprocess)
    if preprocess.fit == "resize":
        resize = squash(preprocess)
    resized = [turned_array(resize(image=image)["image"], turn) for image in images]
    batch = np.stack([pad(image=image)["image"] for image in resized])
    pixels = torch.from_numpy(batch).permute(0, 3, 1, 2).to(request.device)
    inner = [image.shape[:2] for image in resized]
    detected = model.detect(
        normalise(pixels, preprocess), config.min_score, config.nms_iou, config.max_boxes, inner
    )
    for (height, width), size, one in zip(sizes, inner, detected, strict=True):
        boxes = boxes_back(one["boxes"].float().cpu(), turn, size)
        upright = size[::-1] if turn.quarters % 2 else size
        factor = torch.tensor([width / upright[1], height / upright[0]]).repeat(2)
        masks = one["masks"].cpu().numpy()[:, : size[0], : size[1]] if "masks" in one else None
        yield boxes * factor, one["scores"].float().cpu(), one["labels"].cpu(), masks


def _input_size(preprocess: Preprocess, scale: float) -> tuple[int, int]:
    """Height and width of the input at another scale."""
    height, width = (max(STRIDE, round(scale * side / STRIDE) * STRIDE) for side in preprocess.shape)
    return height, width


def _detect_slices(model: Detector, image: np.ndarray, request: Request[PredictConfig]) -> Found | None:
    """Boxes of overlapping tiles, each looked at as if it were an image (SAHI, arXiv 2202.06934).

    They complete every view of the whole image, as there, and are no view of their own: an object too small
    for the whole image to show it would count as one that most views do not see. None for an image that is
    no larger than a tile.
    """
    tile, config = request.config.tile, request.config
    height, width = image.shape[:2]
    if max(height, width) <= tile:
        return None
    step = max(1, int(tile * (1 - config.overlap)))
    tops = [*range(0, max(height - tile, 0), step), max(height - tile, 0)]
    lefts = [*range(0, max(width - tile, 0), step), max(width - tile, 0)]
    places = [(top, left) for top in tops for left in lefts]
    found = []
    count = images_at_once(config, request.preprocess.size)
    for start in range(0, len(places), count):
        batch = places[start : start + count]
        tiles = [image[top : top + tile, left : left + tile] for top, left in batch]
        sizes = [one.shape[:2] for one in tiles]
        looked = _detect(model, tiles, sizes, request, 1.0, UPRIGHT)
        for (top, left), detected in zip(batch, looked, strict=True):
            found.append((detected[0] + torch.tensor([left, top]).repeat(2), *detected[1:3]))
    return _suppressed(found, config.nms_iou)  # an object that is in several tiles is one


def _suppressed(found: Sequence[Found], iou: float) -> Found:
    """The boxes of several looks at one image; of two of a class with a greater IoU only the better."""
    boxes, scores, labels = (torch.cat(parts) for parts in zip(*found, strict=True))
    kept = batched_nms(boxes, scores, labels, iou)
    return boxes[kept], scores[kept], labels[kept]


def fuse(lists: Sequence[Found], config: PredictConfig) -> Found:
    """The boxes of several views or models of one image as one list, by descending score."""
    if len(lists) == 1:
        boxes, scores, labels = lists[0]
    elif config.fusion == "wbf":
        threshold = max(FUSION_IOU, min(1.0, config.nms_iou + MARGIN))
        boxes, scores, labels = weighted_boxes_fusion(*zip(*lists, strict=True), iou_threshold=threshold)
    else:
        boxes, scores, labels = _suppressed(lists, config.nms_iou)
    return boxes[: config.max_boxes], scores[: config.max_boxes], labels[: config.max_boxes]


def to_frame(
    ids: Sequence[str],
    found: Sequence[Found],
    classes: Sequence[str],
    masks: Sequence[list[str]] | None = None,
) -> pd.DataFrame:
    """The predictions frame of these images; `masks` are COCO run lengths as JSON, one for each box."""
    frame = pd.DataFrame({"image_id": pd.Series(list(ids), dtype="str")})
    frame["boxes"] = pd.Series([boxes.tolist() for boxes, _, _ in found], dtype=object)
    frame["scores"] = pd.Series([scores.clamp(0, 1).tolist() for _, scores, _ in found], dtype=object)
    frame["labels"] = pd.Series([[classes[i] for i in labels.tolist()] for *_, labels in found], dtype=object)
    if masks is not None:
        frame["masks"] = pd.Series(list(masks), dtype=object)
    return frame


def _as_json(masks: np.ndarray, size: tuple[int, int]) -> list[str]:
    """COCO run lengths of masks bool (K, H, W), enlarged or reduced to `size`, height and width."""
    found = []
    for mask in masks:  # one by one: a hundred masks of a large photograph are gigabytes
        values = mask.astype("uint8") * 255
        if mask.shape != size:
            values = cv2.resize(values, size[::-1], interpolation=cv2.INTER_LINEAR)
        # The encoder wants each mask column by column.
        one = coco_mask.encode(np.asfortranarray(values >= 128).astype("uint8"))
        found.append(json.dumps({"size": list(map(int, size)), "counts": one["counts"].decode("ascii")}))
    return found


def from_frame(row: Any, classes: Sequence[str]) -> Found:
    """One row of a predictions frame as tensors."""
    boxes = torch.tensor(np.array([list(box) for box in row.boxes], dtype="float32").reshape(-1, 4))
    codes = pd.Index(classes).get_indexer(pd.Index(list(row.labels)))
    return boxes, torch.tensor(list(row.scores), dtype=torch.float32), torch.tensor(codes, dtype=torch.int64)
