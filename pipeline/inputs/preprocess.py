"""What a network expects of its input, and how any image is brought to it."""

import os
from dataclasses import asdict, dataclass
from typing import Any, cast

# albumentations looks for a newer version of itself on the network when imported; a Kaggle kernel has none.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import albumentations as A
import cv2
import numpy as np
import torch
from torch import nn

from pipeline.networks.timm_network import TimmNetwork

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
        cfg = cast(TimmNetwork, model).pretrained_cfg
        interpolation = cfg.get("interpolation") or "bicubic"
        mean: tuple[float, float, float] = tuple(cfg["mean"])
        std: tuple[float, float, float] = tuple(cfg["std"])
        return cls(
            size,
            mean,
            std,
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
        fields: dict[str, Any] = {
            key: tuple(item) if isinstance(item, list) else item for key, item in value.items()
        }
        return cls(**fields)


def eval_transform(preprocess: Preprocess) -> A.Compose:
    """Resize and centre crop of one uint8 image to (size, size, 3); one of that size passes unchanged."""
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
        A.PadIfNeeded(size, size, position="top_left", fill=mean_color(preprocess)),
    ]


def mean_color(preprocess: Preprocess) -> tuple[int, int, int]:
    """The statistics' mean as a uint8 colour."""
    red, green, blue = (round(255 * value) for value in preprocess.mean)
    return red, green, blue


def normalise(images: torch.Tensor, preprocess: Preprocess) -> torch.Tensor:
    """uint8 (N, 3, H, W) to float32 with the network's statistics, channels last in memory."""
    mean = torch.tensor(preprocess.mean, device=images.device).view(1, 3, 1, 1) * 255
    std = torch.tensor(preprocess.std, device=images.device).view(1, 3, 1, 1) * 255
    return ((images.float() - mean) / std).contiguous(memory_format=torch.channels_last)
