"""Augmentation of whole images, twice: albumentations for single images of any size, and batches of small
packed images. Both take uint8 0..255 or float32 0..1, and give the same."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import albumentations as A
import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torchvision.transforms import v2

from pipeline.base.errors import UserError
from pipeline.config.groups import AugmentConfig, ImageSize, sides
from pipeline.config.whole_images import ImageAugment
from pipeline.inputs.preprocess import DOWNSCALE, INTERPOLATION, Preprocess, mean_color, whole_image


def train_transform(augment: ImageAugment, preprocess: Preprocess) -> A.Compose:
    """Random transform of one image of any size to one of the input's, (H, W, C)."""
    steps: list[A.BasicTransform] = [
        *_crop(augment, preprocess),
        *affine(augment, augment.shift, augment.zoom, border=cv2.BORDER_REFLECT_101),
        *flips_and_colors(augment, preprocess),
        *_policy(augment, preprocess),
    ]
    if augment.erase:
        steps.append(A.Erasing(fill="random", p=augment.erase))
    if augment.cutout:
        side = (augment.cutout, augment.cutout)
        steps.append(A.CoarseDropout((1, 1), side, side, fill=mean_color(preprocess), p=1.0))
    return A.Compose([*steps])


def _crop(augment: ImageAugment, preprocess: Preprocess) -> Sequence[A.BasicTransform]:
    """The steps that make the input's size, with images shaped as evaluation shapes them."""
    if augment.crop == "resized":
        return _resized_crop(augment.min_area, preprocess)
    if augment.crop == "none":
        return whole_image(preprocess)
    covering = A.SmallestMaxSize(
        max_size=None,
        max_size_hw=preprocess.shape,
        interpolation=INTERPOLATION[preprocess.interpolation],
        area_for_downscale=DOWNSCALE,
    )
    return [
        # Of what evaluation shows the middle of, all that covers the input.
        *([covering] if preprocess.fit == "center_crop" else whole_image(preprocess)),
        A.Pad(augment.pad, border_mode=cv2.BORDER_REFLECT_101),
        A.RandomCrop(*preprocess.shape),
    ]


def _resized_crop(min_area: float, preprocess: Preprocess) -> Sequence[A.BasicTransform]:
    """A random part of what evaluation shows, at the size of the input."""
    height, width = preprocess.shape
    options: dict[str, Any] = {
        "size": preprocess.shape,
        "scale": (min_area, 1.0),
        "interpolation": INTERPOLATION[preprocess.interpolation],
        "area_for_downscale": DOWNSCALE,
    }
    if preprocess.fit == "resize":
        return [_SquashedCrop(**options)]
    before = []
    if preprocess.fit == "letterbox":  # so large that the smallest crop has as many pixels as the input
        tall, broad = (math.ceil(side / min_area**0.5) for side in preprocess.shape)
        before = whole_image(replace(preprocess, size=(tall, broad)))
    narrow, wide = (one * width / height for one in CROP_RATIOS)
    return [*before, A.RandomResizedCrop(**options, ratio=(narrow, wide))]


class _SquashedCrop(A.RandomResizedCrop):
    """A random part of an image whose sides are measured in shares of the image's: it is squashed as the
    whole image is."""

    def get_params_dependent_on_data(
        self, params: dict[str, Any], data: dict[str, Any]
    ) -> dict[str, tuple[int, int, int, int]]:
        """See albumentations."""
        height, width = params["shape"][:2]
        fine = 1 << 16  # the square from which the part is drawn
        found = super().get_params_dependent_on_data({**params, "shape": (fine, fine)}, data)
        left, top, right, bottom = found["crop_coords"]
        x, y = (int(left * width / fine), int(top * height / fine))
        x2, y2 = round(right * width / fine), round(bottom * height / fine)
        return {"crop_coords": (x, y, max(x + 1, x2), max(y + 1, y2))}


def flips_and_colors(augment: AugmentConfig, preprocess: Preprocess) -> list[A.BasicTransform]:
    """The changes that every task knows; colours move first by brightness, contrast and saturation.

    Raises UserError where colours are to change and the images have no three of them.
    """
    if augment.color_jitter and preprocess.channels != 3:
        raise UserError(
            f"--augment.color-jitter changes colours, and the images have {preprocess.channels} channel(s) "
            "and not 3: set it to 0, or write an `augment` of the competition's own"
        )
    steps: list[A.BasicTransform] = [
        A.HorizontalFlip(p=0.5 * augment.horizontal_flip),
        A.VerticalFlip(p=0.5 * augment.vertical_flip),
    ]
    if strength := augment.color_jitter:
        span = (max(0.0, 1 - strength), 1 + strength)
        steps.append(A.ColorJitter(span, span, span, (-strength / 4, strength / 4), p=0.8))
    if augment.blur:
        steps.append(A.GaussianBlur(blur_limit=0, sigma_limit=(0.0, augment.blur), p=0.5))
    if augment.noise:
        steps.append(A.GaussNoise(std_range=(0.0, augment.noise), p=0.5))
    return steps


def affine(
    augment: AugmentConfig,
    shift: float = 0.0,
    zoom: float = 0.0,
    *,
    border: int = cv2.BORDER_CONSTANT,
    fill: tuple[float, ...] = (0, 0, 0),
    fill_mask: int = 0,
) -> list[A.BasicTransform]:
    """Rotation, shear, shift and zoom in one step, which interpolates once; nothing where none is asked for.

    Parameters
    ----------
    border, fill, fill_mask : what is seen beyond the image: OpenCV's border, or the colour and the mask value
        of a constant one. A mirror would show objects a second time, without boxes.

    A turned box is that of the ellipse in it (arXiv 2109.13488): a box's corners are rarely its object's.
    """
    if not (augment.rotate or augment.shear or shift or zoom):
        return []
    if border == cv2.BORDER_CONSTANT and len(fill) > 4:
        raise UserError(
            f"--augment.rotate and --augment.shear fill what they uncover in at most 4 channels, and the "
            f"images have {len(fill)}: set both to 0, or write an `augment` of the competition's own"
        )
    sides = ("x", "y")
    return [
        A.Affine(
            scale=(1 - zoom, 1 + zoom),
            keep_ratio=True,
            translate_percent=dict.fromkeys(sides, (-shift, shift)),
            rotate=(-augment.rotate, augment.rotate),
            shear=dict.fromkeys(sides, (-augment.shear, augment.shear)),
            interpolation=cv2.INTER_LINEAR,
            mask_interpolation=cv2.INTER_NEAREST,
            rotate_method="ellipse",
            border_mode=border,
            fill=fill,
            fill_mask=fill_mask,
            p=1.0,
        )
    ]


def _policy(augment: ImageAugment, preprocess: Preprocess) -> list[A.BasicTransform]:
    """torchvision's policies, with a mean colour beyond the image."""
    if augment.policy != "none" and (preprocess.deep or preprocess.channels not in (1, 3)):
        raise UserError(
            f"--augment.policy {augment.policy} changes images of 8 bits in grey or colour, and these have "
            f"{preprocess.channels} channel(s) of {'more' if preprocess.deep else '8 bits'}: leave it out"
        )
    options = {"interpolation": v2.InterpolationMode.BILINEAR, "fill": list(mean_color(preprocess))}
    if augment.policy == "randaugment":
        return [_Torchvision(v2.RandAugment(2, augment.magnitude, **options))]
    if augment.policy == "trivialaugment":
        return [_Torchvision(v2.TrivialAugmentWide(**options))]
    return []


class _Torchvision(A.ImageOnlyTransform):
    """A random transform of torchvision's, which follows the seed of the others and leaves torch's alone."""

    def __init__(self, transform: v2.Transform) -> None:
        super().__init__(p=1.0)
        self.transform = transform

    def get_params(self) -> dict[str, Any]:
        return {"seed": self.py_random.getrandbits(31)}

    def apply(self, img: np.ndarray, seed: int, **params: Any) -> np.ndarray:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed the GPU's, too
            changed = self.transform(torch.from_numpy(np.ascontiguousarray(img)).permute(2, 0, 1))
        return changed.permute(1, 2, 0).contiguous().numpy()


CROP_RATIOS = (3 / 4, 4 / 3)
"""Proportions of random crops, relative to those of the input."""
SINGLY = ("color_jitter", "rotate", "shear", "shift", "zoom", "blur", "noise", "erase")
"""Options that only single images can follow; 0 is off."""


def batched_is_enough(augment: ImageAugment, packed_size: tuple[int, int] | None, size: ImageSize) -> bool:
    """Whether `augment_batch` can do all that `augment` asks for, on packed images of `packed_size`."""
    if packed_size != sides(size) or augment.crop == "resized" or augment.policy != "none":
        return False
    return not any(getattr(augment, name) for name in SINGLY)


def augment_batch(images: torch.Tensor, augment: ImageAugment, mean: tuple[float, ...]) -> torch.Tensor:
    """Random pad-crop, flips and cutout of a batch (N, C, H, W), on its device, by torch's generator.

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
        images = F.pad(images.float(), (pad,) * 4, mode="reflect").to(images.dtype)
        rows = rows + torch.randint(0, 2 * pad + 1, (count, 1))
        columns = columns + torch.randint(0, 2 * pad + 1, (count, 1))
    batch = torch.arange(count)[:, None, None].to(images.device)
    rows, columns = rows.to(images.device), columns.to(images.device)
    images = images.permute(0, 2, 3, 1)[batch, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    if augment.cutout:
        images = _cutout(images, augment.cutout, mean)
    return images


def _cutout(images: torch.Tensor, side: int, mean: tuple[float, ...]) -> torch.Tensor:
    """Set one square of each image to the mean colour; it lies wholly inside the image."""
    count, _, height, width = images.shape
    top = torch.randint(0, max(1, height - side + 1), (count, 1))
    left = torch.randint(0, max(1, width - side + 1), (count, 1))
    inside_rows = (torch.arange(height) >= top) & (torch.arange(height) < top + side)
    inside_columns = (torch.arange(width) >= left) & (torch.arange(width) < left + side)
    hole = (inside_rows[:, None, :, None] & inside_columns[:, None, None, :]).to(images.device)
    color = mean if images.is_floating_point() else [round(255 * value) for value in mean]
    fill = torch.tensor(color, dtype=images.dtype, device=images.device)
    return torch.where(hole, fill.view(1, -1, 1, 1), images)
