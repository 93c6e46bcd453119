"""Augmentation, twice: albumentations for single images of any size, and batches of small packed images.

Both take and give uint8; `normalise` turns either into what the network wants, on the device.
"""

import os
from dataclasses import asdict, dataclass
from typing import Any

# albumentations looks for a newer version of itself on the network when imported; a Kaggle kernel has none.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import albumentations as A
import cv2
import torch
import torch.nn.functional as F
from torch import nn

from pipeline.config.config import AugmentConfig

INTERPOLATION = {"nearest": cv2.INTER_NEAREST, "bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC}
DOWNSCALE = "image"
"""Shrink by averaging areas: OpenCV's other methods skip pixels, and what they make is aliased."""
MASK_INTERPOLATION = cv2.INTER_NEAREST_EXACT
"""OpenCV's plain nearest neighbour takes the corner of each pixel for its centre: masks would move by up to
half a pixel of the larger side."""


@dataclass(frozen=True)
class Preprocess:
    """What a network expects of its input; travels in the checkpoint.

    Attributes
    ----------
    size : side of the square input in pixels.
    mean, std : per channel, of pixel values scaled to 0..1.
    interpolation : nearest, bilinear or bicubic.
    crop_share : share of the shorter side that the evaluation crop keeps.
    """

    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str = "bicubic"
    crop_share: float = 1.0

    @classmethod
    def of_model(cls, model: nn.Module, size: int) -> "Preprocess":
        """Read a timm model's own statistics."""
        cfg = model.pretrained_cfg
        interpolation = cfg.get("interpolation") or "bicubic"
        return cls(
            size,
            tuple(cfg["mean"]),
            tuple(cfg["std"]),
            interpolation if interpolation in INTERPOLATION else "bicubic",
            float(cfg.get("crop_pct") or 1.0),
        )

    def to_json(self) -> dict[str, Any]:
        """Plain dictionary; tuples become lists."""
        return {
            key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Preprocess":
        """Inverse of `to_json`."""
        return cls(**{key: tuple(item) if isinstance(item, list) else item for key, item in value.items()})


def train_transform(augment: AugmentConfig, preprocess: Preprocess) -> A.Compose:
    """Random transform of one uint8 image (height, width, 3) to (size, size, 3)."""
    size, interpolation = preprocess.size, INTERPOLATION[preprocess.interpolation]
    if augment.crop == "resized":
        crop = [
            A.RandomResizedCrop(
                (size, size),
                (augment.min_area, 1.0),
                interpolation=interpolation,
                area_for_downscale=DOWNSCALE,
            )
        ]
    elif augment.crop == "pad":
        crop = [
            A.SmallestMaxSize(size, interpolation=interpolation, area_for_downscale=DOWNSCALE),
            A.Pad(augment.pad, border_mode=cv2.BORDER_REFLECT_101),
            A.RandomCrop(size, size),
        ]
    else:
        crop = _whole_image(preprocess)
    steps = [
        *crop,
        A.HorizontalFlip(p=0.5 * augment.horizontal_flip),
        A.VerticalFlip(p=0.5 * augment.vertical_flip),
        *_color_jitter(augment.color_jitter),
    ]
    if augment.cutout:
        side = (augment.cutout, augment.cutout)
        steps.append(A.CoarseDropout((1, 1), side, side, fill=_mean_color(preprocess), p=1.0))
    return A.Compose(steps)


def segmentation_transform(augment: AugmentConfig, preprocess: Preprocess, ignore: int) -> A.Compose:
    """Random transform of an image and its mask together: rescaled, padded where too small, cropped.

    Where the image is padded the mask gets `ignore`, so that what is not there is not learnt.
    """
    size = preprocess.size
    steps = [
        A.RandomScale(
            (augment.min_scale - 1, augment.max_scale - 1),
            interpolation=cv2.INTER_LINEAR,
            mask_interpolation=MASK_INTERPOLATION,
            area_for_downscale=DOWNSCALE,
            p=1.0,
        ),
        A.PadIfNeeded(
            size,
            size,
            border_mode=cv2.BORDER_CONSTANT,
            position="random",
            fill=_mean_color(preprocess),
            fill_mask=ignore,
        ),
        A.RandomCrop(size, size),
        A.HorizontalFlip(p=0.5 * augment.horizontal_flip),
        A.VerticalFlip(p=0.5 * augment.vertical_flip),
        *_color_jitter(augment.color_jitter),
    ]
    return A.Compose(steps)


def detection_transform(augment: AugmentConfig, preprocess: Preprocess) -> A.Compose:
    """Random transform of an image and its boxes (xyxy pixels, with an ``index`` each): crops that keep
    boxes, scale jitter, padding, flips. Boxes of which less than a quarter stays are dropped.

    Call with ``image``, ``bboxes`` and ``index``.
    """
    size = preprocess.size
    steps = [
        A.BBoxSafeRandomCrop(erosion_rate=0.2, p=0.3),
        *letterbox(preprocess)[:1],
        A.RandomScale(
            (augment.min_scale - 1, augment.max_scale - 1),
            mask_interpolation=MASK_INTERPOLATION,
            area_for_downscale=DOWNSCALE,
            p=1.0,
        ),
        A.PadIfNeeded(size, size, position="random", fill=_mean_color(preprocess)),
        A.RandomCrop(size, size),
        A.HorizontalFlip(p=0.5 * augment.horizontal_flip),
        A.VerticalFlip(p=0.5 * augment.vertical_flip),
        *_color_jitter(augment.color_jitter),
    ]
    boxes = A.BboxParams("pascal_voc", ["index"], min_visibility=0.25, min_width=2, min_height=2, clip=True)
    return A.Compose(steps, bbox_params=boxes)


def letterbox(preprocess: Preprocess) -> list[A.BasicTransform]:
    """Resize the longer side to the network's, and pad at the right and the lower edge."""
    size = preprocess.size
    return [
        A.LongestMaxSize(
            size,
            interpolation=INTERPOLATION["bilinear"],
            mask_interpolation=MASK_INTERPOLATION,
            area_for_downscale=DOWNSCALE,
        ),
        A.PadIfNeeded(size, size, position="top_left", fill=_mean_color(preprocess)),
    ]


def _mean_color(preprocess: Preprocess) -> list[int]:
    return [round(255 * value) for value in preprocess.mean]


def _color_jitter(strength: float) -> list[A.BasicTransform]:
    if not strength:
        return []
    span = (max(0.0, 1 - strength), 1 + strength)
    return [A.ColorJitter(span, span, span, (-strength / 4, strength / 4), p=0.8)]


def eval_transform(preprocess: Preprocess) -> A.Compose:
    """Resize and centre crop of one uint8 image to (size, size, 3); one of that size passes unchanged."""
    return A.Compose(_whole_image(preprocess))


def _whole_image(preprocess: Preprocess) -> list[A.BasicTransform]:
    size = preprocess.size
    return [_ResizeUnlessExact(preprocess), A.CenterCrop(size, size)]


class _ResizeUnlessExact(A.SmallestMaxSize):
    """Resize the shorter side to size / crop_share, but leave an image alone that already has the input's
    size."""

    def __init__(self, preprocess: Preprocess) -> None:
        super().__init__(
            round(preprocess.size / preprocess.crop_share),
            interpolation=INTERPOLATION[preprocess.interpolation],
            area_for_downscale=DOWNSCALE,
        )
        self.exact = (preprocess.size, preprocess.size)

    def apply(self, img, **params):
        return img if img.shape[:2] == self.exact else super().apply(img, **params)


def batched_is_enough(augment: AugmentConfig, packed_size: tuple[int, int] | None, size: int) -> bool:
    """Whether `augment_batch` can do all that `augment` asks for, on packed images of `packed_size`."""
    return packed_size == (size, size) and augment.crop != "resized" and not augment.color_jitter


def augment_batch(
    images: torch.Tensor, augment: AugmentConfig, mean: tuple[float, float, float]
) -> torch.Tensor:
    """Random pad-crop, flips and cutout of a uint8 batch (N, 3, H, W), on its device, by torch's generator.

    The same changes as `train_transform`'s, some fifty times faster for 32 x 32 images.
    """
    count, _, height, width = images.shape
    rows = torch.arange(height).expand(count, height)
    columns = torch.arange(width).expand(count, width)
    if augment.horizontal_flip:
        columns = torch.where(torch.rand(count, 1) < 0.5, columns.flip(1), columns)
    if augment.vertical_flip:
        rows = torch.where(torch.rand(count, 1) < 0.5, rows.flip(1), rows)
    pad = augment.pad if augment.crop == "pad" else 0
    if pad:
        images = F.pad(images.float(), (pad,) * 4, mode="reflect").to(torch.uint8)
        rows = rows + torch.randint(0, 2 * pad + 1, (count, 1))
        columns = columns + torch.randint(0, 2 * pad + 1, (count, 1))
    batch = torch.arange(count)[:, None, None].to(images.device)
    rows, columns = rows.to(images.device), columns.to(images.device)
    images = images.permute(0, 2, 3, 1)[batch, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    if augment.cutout:
        images = _cutout(images, augment.cutout, mean)
    return images


def _cutout(images: torch.Tensor, side: int, mean: tuple[float, float, float]) -> torch.Tensor:
    """Set one square of each image to the mean colour; it lies wholly inside the image."""
    count, _, height, width = images.shape
    top = torch.randint(0, max(1, height - side + 1), (count, 1))
    left = torch.randint(0, max(1, width - side + 1), (count, 1))
    inside_rows = (torch.arange(height) >= top) & (torch.arange(height) < top + side)
    inside_columns = (torch.arange(width) >= left) & (torch.arange(width) < left + side)
    hole = (inside_rows[:, None, :, None] & inside_columns[:, None, None, :]).to(images.device)
    fill = torch.tensor([round(255 * value) for value in mean], dtype=torch.uint8, device=images.device)
    return torch.where(hole, fill.view(1, 3, 1, 1), images)


def normalise(images: torch.Tensor, preprocess: Preprocess) -> torch.Tensor:
    """uint8 (N, 3, H, W) to float32 with the network's statistics, channels last in memory."""
    mean = torch.tensor(preprocess.mean, device=images.device).view(1, 3, 1, 1) * 255
    std = torch.tensor(preprocess.std, device=images.device).view(1, 3, 1, 1) * 255
    return ((images.float() - mean) / std).contiguous(memory_format=torch.channels_last)
