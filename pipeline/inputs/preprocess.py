"""What a network expects of its input, and how any image is brought to it."""

import os
from dataclasses import asdict, dataclass, field
from typing import Any, cast

# albumentations looks for a newer version of itself on the network when imported; a Kaggle kernel has none.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import albumentations as A
import cv2
import numpy as np
import torch
from torch import nn

from pipeline.networks.timm_network import TimmNetwork
from pipeline.readers.decoding import Decoding

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
    mean, std : per channel, of pixel values scaled to 0..1; as many as images have channels.
    interpolation : nearest, bilinear or bicubic.
    crop_share : share of the shorter side that the evaluation crop keeps.
    decoding : how images were read that the network was trained on, without the reader; see
        `pipeline.readers.decoding`.
    """

    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str = "bicubic"
    crop_share: float = 1.0
    decoding: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of_model(cls, model: nn.Module, size: int, decoding: Decoding | None = None) -> "Preprocess":
        """What a timm model says of itself; the statistics of the training images where they are not
        photographs."""
        cfg = cast(TimmNetwork, model).pretrained_cfg
        interpolation = cfg.get("interpolation") or "bicubic"
        mean, std = (decoding and decoding.statistics) or (tuple(cfg["mean"]), tuple(cfg["std"]))
        return cls(
            size,
            mean,
            std,
            interpolation if interpolation in INTERPOLATION else "bicubic",
            float(cfg.get("crop_pct") or 1.0),
            decoding.to_json() if decoding else {},
        )

    @property
    def channels(self) -> int:
        """That images have."""
        return len(self.mean)

    @property
    def deep(self) -> bool:
        """Whether images are float32, not uint8: they have black, white and statistics of their own."""
        return all(self.decoding.get(name) is not None for name in ("levels", "statistics"))

    def to_json(self) -> dict[str, Any]:
        """Plain dictionary; tuples become lists."""
        return {
            key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Preprocess":
        """Inverse of `to_json`."""
        fields: dict[str, Any] = {
            key: tuple(item) if isinstance(item, list) else item for key, item in value.items()
        }
        return cls(**fields)


def eval_transform(preprocess: Preprocess) -> A.Compose:
    """Resize and centre crop of one image to (size, size, C); one of that size passes unchanged."""
    return A.Compose([*whole_image(preprocess)])


def whole_image(preprocess: Preprocess) -> list[A.BasicTransform]:
    """Steps that show the middle of an image at the size of the input."""
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

    def apply(self, img: np.ndarray, scale: float, **params: Any) -> np.ndarray:
        return img if img.shape[:2] == self.exact else super().apply(img, scale, **params)


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
        PadIfNeeded(size, size, position="top_left", fill=mean_color(preprocess)),
    ]


class PadIfNeeded(A.PadIfNeeded):
    """albumentations', for images of more than the four channels that OpenCV pads with a colour."""

    def apply(
        self, img: np.ndarray, pad_top: int, pad_bottom: int, pad_left: int, pad_right: int, **params: Any
    ) -> np.ndarray:
        """See albumentations."""
        if img.shape[2] <= 4:
            return super().apply(img, pad_top, pad_bottom, pad_left, pad_right, **params)
        height, width, channels = img.shape
        padded = np.empty((pad_top + height + pad_bottom, pad_left + width + pad_right, channels), img.dtype)
        padded[:] = np.asarray(self.fill, dtype=img.dtype)
        padded[pad_top : pad_top + height, pad_left : pad_left + width] = img
        return padded


def mean_color(preprocess: Preprocess) -> tuple[float, ...]:
    """The statistics' mean as a colour of images: 0..255 of uint8, 0..1 of float32."""
    return preprocess.mean if preprocess.deep else tuple(round(255 * value) for value in preprocess.mean)


def normalise(images: torch.Tensor, preprocess: Preprocess) -> torch.Tensor:
    """uint8 0..255 or float32 0..1 (N, C, H, W) to float32 with the preprocessing's statistics, channels last
    in memory."""
    white = 1 if images.is_floating_point() else 255
    mean = torch.tensor(preprocess.mean, device=images.device).view(1, -1, 1, 1) * white
    std = torch.tensor(preprocess.std, device=images.device).view(1, -1, 1, 1) * white
    return ((images.float() - mean) / std).contiguous(memory_format=torch.channels_last)


def as_picture(image: np.ndarray) -> np.ndarray:
    """An image (H, W, C), uint8 or float32, to look at: uint8 (H, W, 3). The first three channels, or the
    first in grey where there are less; float32 is stretched between its own darkest and brightest percent."""
    shown = image[..., :3] if image.shape[2] >= 3 else image[..., :1]
    if shown.dtype != np.uint8:
        low, high = np.percentile(shown, (1, 99), axis=(0, 1))
        stretched = (shown - low) / np.where(high > low, high - low, 1)
        shown = np.rint(255 * stretched.clip(0, 1)).astype("uint8")
    return np.ascontiguousarray(np.broadcast_to(shown, (*shown.shape[:2], 3)))
