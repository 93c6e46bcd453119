"""Augmentation of whole images, twice: albumentations for single images of any size, and batches of small
packed images. Both take and give uint8."""

import albumentations as A
import cv2
import torch
import torch.nn.functional as F

from pipeline.config.groups import AugmentConfig
from pipeline.config.whole_images import ImageAugment
from pipeline.inputs.preprocess import DOWNSCALE, INTERPOLATION, Preprocess, mean_color, whole_image


def train_transform(augment: ImageAugment, preprocess: Preprocess) -> A.Compose:
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
        crop = whole_image(preprocess)
    steps = [
        *crop,
        *flips_and_colors(augment),
    ]
    if augment.cutout:
        side = (augment.cutout, augment.cutout)
        steps.append(A.CoarseDropout((1, 1), side, side, fill=mean_color(preprocess), p=1.0))
    return A.Compose(steps)


def flips_and_colors(augment: AugmentConfig) -> list[A.BasicTransform]:
    """The changes that every task knows; colours move first by brightness, contrast and saturation."""
    steps: list[A.BasicTransform] = [
        A.HorizontalFlip(p=0.5 * augment.horizontal_flip),
        A.VerticalFlip(p=0.5 * augment.vertical_flip),
    ]
    if strength := augment.color_jitter:
        span = (max(0.0, 1 - strength), 1 + strength)
        steps.append(A.ColorJitter(span, span, span, (-strength / 4, strength / 4), p=0.8))
    return steps


def batched_is_enough(augment: ImageAugment, packed_size: tuple[int, int] | None, size: int) -> bool:
    """Whether `augment_batch` can do all that `augment` asks for, on packed images of `packed_size`."""
    return packed_size == (size, size) and augment.crop != "resized" and not augment.color_jitter


def augment_batch(
    images: torch.Tensor, augment: ImageAugment, mean: tuple[float, float, float]
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
