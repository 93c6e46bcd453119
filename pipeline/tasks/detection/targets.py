"""The boxes of training images: transformed with the image, put together in mosaics, pasted from others."""

from collections.abc import Callable, Sequence
from typing import Any

import albumentations as A
import numpy as np
import pandas as pd
import torch
from faster_coco_eval.core import mask as coco_mask

from pipeline.base.errors import name_some
from pipeline.base.progress import say
from pipeline.config.groups import ImageSize, named_size, sides
from pipeline.frame.boxes import box_array
from pipeline.frame.coco_masks import run_lengths
from pipeline.inputs.smaller import file_sizes, mask_like
from pipeline.tasks.detection.config import AugmentConfig

LEAST_VISIBLE = 0.25
"""Share of a box that has to be left for it to be learnt from, when a mosaic cuts it or a paste hides it."""
LEAST_SIDE = 2
"""Shortest side of a box, in pixels of the network's input, that is learnt from."""
MOST_PASTED = 5
"""Objects pasted into one image."""


class Boxes:
    """One image's truth is (boxes float32 (K, 4), labels int64 (K,), masks uint8 (K, H, W) or None).

    Crowd regions are not learnt from. Random choices come from the transform's own generator, which is seeded
    for each batch.
    """

    fixed: torch.Tensor | None = None

    def __init__(
        self, frame: pd.DataFrame, classes: Sequence[str], augment: AugmentConfig, with_masks: bool
    ) -> None:
        index = pd.Index(classes)
        self.augment, self.with_masks = augment, with_masks
        self.sizes = file_sizes(frame)
        self.boxes, self.labels, self.masks = [], [], []
        for boxes, labels, crowd, masks in zip(
            *(frame[name] for name in ("boxes", "labels", "crowd", "masks")), strict=True
        ):
            kept = [row for row, is_crowd in enumerate(crowd) if not is_crowd]
            self.boxes.append(box_array(boxes)[kept].astype("float32"))
            names = pd.Index(np.asarray(labels, dtype=object)[kept])
            self.labels.append(index.get_indexer(names).astype("int64"))
            self.masks.append([str(masks[row]) for row in kept])

    def example(self, index: int, read: Callable[[int], np.ndarray], transform: A.Compose) -> tuple:
        """See `pipeline.inputs.batches.Targets`."""
        random = transform.random_generator
        if random.random() < self.augment.mosaic:
            others = random.integers(0, len(self.boxes), 3)
            image, truth = mosaic(
                [self._one(int(which), read, transform) for which in (index, *others)], random
            )
        else:
            image, truth = self._one(index, read, transform)
        if random.random() < self.augment.copy_paste:
            other = int(random.integers(0, len(self.boxes)))
            image, truth = paste(image, truth, *self._one(other, read, transform, masks=True), random)
        boxes, labels, masks = truth
        return image, (boxes, labels, masks if self.with_masks else None)

    def _one(
        self, index: int, read: Callable[[int], np.ndarray], transform: A.Compose, masks: bool = False
    ) -> tuple[np.ndarray, tuple]:
        image = read(index)
        wanted = masks or self.with_masks or self.augment.copy_paste > 0
        size = self.sizes[index] or image.shape[:2]
        drawn = self._draw_masks(index, size) if wanted else []
        boxes = self.boxes[index]
        if size != image.shape[:2]:  # the image was made smaller
            (height, width), (tall, wide) = size, image.shape[:2]
            boxes = boxes * np.array([wide / width, tall / height] * 2, dtype="float32")
            drawn = [mask_like(one, image) for one in drawn]
        given: dict[str, Any] = {"image": image, "bboxes": boxes, "index": np.arange(len(boxes))}
        if len(drawn):
            given["masks"] = drawn
        done: dict[str, Any] = transform(**given)
        kept = np.asarray(done["index"], dtype="int64").reshape(-1)
        boxes = np.asarray(done["bboxes"], dtype="float32").reshape(-1, 4)
        size = done["image"].shape[:2]
        shown = np.asarray(done["masks"])[kept] if len(drawn) else np.zeros((0, *size), dtype="uint8")
        return done["image"], (boxes, self.labels[index][kept], shown if wanted else None)

    def _draw_masks(self, index: int, size: tuple[int, int]) -> np.ndarray:
        """uint8 (K, H, W); a box without a mask is its own rectangle."""
        drawn = [
            coco_mask.decode(run_lengths(mask, box.tolist(), *size))
            for mask, box in zip(self.masks[index], self.boxes[index], strict=True)
        ]
        return np.stack(drawn) if drawn else np.zeros((0, *size), dtype="uint8")

    def batch(self, truths: Sequence[tuple]) -> list[dict[str, torch.Tensor]]:
        """One dictionary for each image: boxes, labels and, for a network with masks, masks."""
        return [
            {
                "boxes": torch.from_numpy(np.ascontiguousarray(boxes)),
                "labels": torch.from_numpy(np.ascontiguousarray(labels)),
                **({"masks": torch.from_numpy(np.ascontiguousarray(masks))} if masks is not None else {}),
            }
            for boxes, labels, masks in truths
        ]


def tell_vanishing(frame: pd.DataFrame, image_size: ImageSize) -> None:
    """Say how many boxes are under `LEAST_SIDE` pixels once their image is resized to fit in this size:
    nothing learns from them, but where a random crop enlarges them."""
    vanish: list[str] = []
    tall, wide = sides(image_size)
    total = 0
    columns = (frame[name] for name in ("image_id", "boxes", "width", "height", "crowd"))
    for image_id, cell, width, height, crowd in zip(*columns, strict=True):
        boxes = box_array(cell)[[not one for one in crowd]]
        shorter = (boxes[:, 2:] - boxes[:, :2]).min(axis=1, initial=np.inf)
        scale = min(tall / height, wide / width)
        vanish += [image_id] * int((scale * shorter < LEAST_SIDE).sum())
        total += len(boxes)
    if vanish:
        ids = name_some(list(dict.fromkeys(vanish)))
        say(
            f"warning: {len(vanish):,} of {total:,} training box(es) are under {LEAST_SIDE} pixels "
            f"in images of {named_size(image_size)} and are not learnt from: in {ids}; "
            "raise --model.image-size"
        )


def mosaic(parts: list[tuple[np.ndarray, tuple]], random: np.random.Generator) -> tuple[np.ndarray, tuple]:
    """Four images (H, W, C) in a rectangle of twice the sides, of which a random one of (H, W) is cut
    (arXiv 2004.10934). Boxes of which less than a quarter stays are dropped."""
    height, width = parts[0][0].shape[:2]
    canvas = np.concatenate(
        [np.concatenate([image for image, _ in row], axis=1) for row in (parts[:2], parts[2:])]
    )
    most = np.array([width, height])
    x, y = random.integers(most // 4, most - most // 4 + 1, 2).tolist()
    found = []
    for place, (_, (boxes, labels, masks)) in enumerate(parts):
        left, top = width * (place % 2), height * (place // 2)
        moved = boxes + np.array([left - x, top - y] * 2, dtype="float32")
        found.append((moved, labels, None if masks is None else _moved(masks, left - x, top - y)))
    boxes, labels = np.concatenate([one[0] for one in found]), np.concatenate([one[1] for one in found])
    masks = None if found[0][2] is None else np.concatenate([one[2] for one in found])
    clipped = boxes.clip(0, np.array([width, height] * 2, dtype="float32"))
    keep = _areas(clipped) >= LEAST_VISIBLE * np.maximum(_areas(boxes), 1e-6)
    keep &= ((clipped[:, 2:] - clipped[:, :2]) >= LEAST_SIDE).all(axis=1)
    cut = canvas[y : y + height, x : x + width]
    return cut, (clipped[keep], labels[keep], None if masks is None else masks[keep])


def _moved(masks: np.ndarray, right: int, down: int) -> np.ndarray:
    """Masks (K, H, W) moved by less than their sides; what leaves the image is lost."""
    height, width = masks.shape[1:]
    moved = np.zeros_like(masks)
    moved[:, max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)] = masks[
        :, max(-down, 0) : height - max(down, 0), max(-right, 0) : width - max(right, 0)
    ]
    return moved


def paste(
    image: np.ndarray, truth: tuple, other: np.ndarray, other_truth: tuple, random: np.random.Generator
) -> tuple[np.ndarray, tuple]:
    """Copy some objects of `other` (H, W, C) into `image`. What they hide too much of is forgotten, and the
    boxes of what they hide in part shrink to what is still seen (arXiv 2012.07177)."""
    boxes, labels, masks = truth
    new_boxes, new_labels, new_masks = other_truth
    chosen = random.permutation(len(new_boxes))[:MOST_PASTED]
    chosen = chosen[: int(random.integers(1, MOST_PASTED + 1))]
    if not len(chosen):
        return image, truth
    covered = new_masks[chosen].any(axis=0)
    left = masks * ~covered
    before, after = (np.count_nonzero(some, axis=(1, 2)) for some in (masks, left))
    keep = after >= LEAST_VISIBLE * np.maximum(before, 1)
    seen = [
        _seen(box, mask) if hidden else box
        for box, mask, hidden in zip(boxes, left, after < before, strict=True)
    ]
    return np.where(covered[..., None], other, image), (
        np.concatenate([np.asarray(seen, dtype="float32").reshape(-1, 4)[keep], new_boxes[chosen]]),
        np.concatenate([labels[keep], new_labels[chosen]]),
        np.concatenate([left[keep], new_masks[chosen]]),
    )


def _seen(box: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The part of a box (4,) that reaches as far as the mask (H, W)."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return box
    low, high = [columns[0], rows[0]], [columns[-1] + 1, rows[-1] + 1]
    return np.concatenate([np.maximum(box[:2], low), np.minimum(box[2:], high)])


def _areas(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2:] - boxes[:, :2]).clip(min=0).prod(axis=1)
