"""What a network expects of its input, and how any image is brought to it."""

import os
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, cast

# albumentations looks for a newer version of itself on the network when imported; a Kaggle kernel has none.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import albumentations as A
import cv2
import numpy as np
import torch
from torch import nn

from pipeline.config.groups import ImageSize, one_or_two, sides
from pipeline.inputs.table import Fitted, width_of
from pipeline.networks.joint import Given
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
    size : pixels of the input: the side of a square, or height and width.
    mean, std : per channel, of pixel values scaled to 0..1; as many as images have channels.
    interpolation : nearest, bilinear or bicubic.
    crop_share : share of the shorter side that ``center_crop`` keeps.
    decoding : how images were read that the network was trained on, without the reader; see
        `pipeline.readers.decoding`.
    fit : how an image of another shape becomes the input, as the task's ``model.fit`` says.
    table : what the table beside the training images was like; empty where there is none. See
        `pipeline.inputs.table`.
    """

    size: ImageSize
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str = "bicubic"
    crop_share: float = 1.0
    decoding: dict[str, Any] = field(default_factory=dict)
    fit: str = "center_crop"
    table: Fitted = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", one_or_two(self.size))

    @classmethod
    def of_model(
        cls,
        model: nn.Module,
        size: ImageSize,
        decoding: Decoding | None = None,
        fit: str = "center_crop",
        table: Fitted | None = None,
    ) -> "Preprocess":
        """What a timm model says of itself; the statistics of the training images where they are not
        photographs, and of the table beside them."""
        cfg = cast(TimmNetwork, model).pretrained_cfg
        interpolation = cfg.get("interpolation") or "bicubic"
        mean, std = (decoding and decoding.statistics) or (tuple(cfg["mean"]), tuple(cfg["std"]))
        if decoding and decoding.statistics is None and decoding.reader.images > 1:
            mean, std = (values * (decoding.channels // len(values)) for values in (mean, std))
        return cls(
            size,
            mean,
            std,
            interpolation if interpolation in INTERPOLATION else "bicubic",
            float(cfg.get("crop_pct") or 1.0),
            decoding.to_json() if decoding else {},
            fit,
            table or {},
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the input."""
        return sides(self.size)

    @property
    def channels(self) -> int:
        """That images have; those of all images of a bag together."""
        return len(self.mean)

    @property
    def images(self) -> int:
        """Most images in a row."""
        return int(self.decoding.get("images", 1))

    @property
    def given(self) -> Given:
        """What the network is given for each row."""
        return Given(self.channels, self.images, width_of(self.table))

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
    """One image at the size of the input, (H, W, C); one of that size passes unchanged."""
    return A.Compose([*whole_image(preprocess)])


def whole_image(preprocess: Preprocess) -> list[A.BasicTransform]:
    """Steps that show an image at the size of the input, as ``preprocess.fit`` says."""
    height, width = preprocess.shape
    if preprocess.fit == "letterbox":
        return letterbox(preprocess, INTERPOLATION[preprocess.interpolation], "center")
    if preprocess.fit == "resize":
        return [squash(preprocess, INTERPOLATION[preprocess.interpolation])]
    return [_ResizeUnlessExact(preprocess), A.CenterCrop(height, width)]


def squash(
    preprocess: Preprocess,
    interpolation: int = cv2.INTER_LINEAR,
    mask_interpolation: int = MASK_INTERPOLATION,
) -> A.BasicTransform:
    """Resize to the size of the input, whatever the image's proportions."""
    return A.Resize(
        *preprocess.shape,
        interpolation=interpolation,
        mask_interpolation=mask_interpolation,
        area_for_downscale=DOWNSCALE,
    )


class _ResizeUnlessExact(A.SmallestMaxSize):
    """Resize to cover the input / crop_share, but leave an image alone that already has the input's size."""

    def __init__(self, preprocess: Preprocess) -> None:
        height, width = (round(side / preprocess.crop_share) for side in preprocess.shape)
        super().__init__(
            max_size=None,
            max_size_hw=(height, width),
            interpolation=INTERPOLATION[preprocess.interpolation],
            area_for_downscale=DOWNSCALE,
        )
        self.exact = preprocess.shape

    def apply(self, img: np.ndarray, scale: float, **params: Any) -> np.ndarray:
        return img if img.shape[:2] == self.exact else super().apply(img, scale, **params)


def letterbox(
    preprocess: Preprocess,
    interpolation: int = cv2.INTER_LINEAR,
    position: Literal["top_left", "center"] = "top_left",
    mask_interpolation: int = MASK_INTERPOLATION,
) -> list[A.BasicTransform]:
    """Resize to the largest size that fits in the input, and pad at the right and the lower edge, or around
    an image in the middle."""
    return [
        A.LongestMaxSize(
            max_size=None,
            max_size_hw=preprocess.shape,
            interpolation=interpolation,
            mask_interpolation=mask_interpolation,
            area_for_downscale=DOWNSCALE,
        ),
        PadIfNeeded(*preprocess.shape, position=position, fill=mean_color(preprocess)),
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


def as_picture(image: np.ndarray, images: int = 1) -> np.ndarray:
    """An image (H, W, C), uint8 or float32, to look at: uint8 (H, W, 3). The first three channels, or the
    first in grey where there are less; float32 is stretched between its own darkest and brightest percent.

    Parameters
    ----------
    images : how many are in it, one behind the other; of several, four evenly spread are laid side by side.
    """
    if images > 1:
        parts = np.split(image, images, axis=2)
        there = [part for part in parts if part.any()] or parts[:1]
        places = np.linspace(0, len(there) - 1, min(4, len(there))).round().astype(int)
        shown = [as_picture(there[place]) for place in places]
        blank = [np.zeros_like(shown[0])] * (-len(shown) % 2 if len(shown) > 1 else 0)
        rows = [np.concatenate(pair, axis=1) for pair in zip(*[iter([*shown, *blank])] * 2, strict=True)]
        return np.concatenate(rows) if rows else shown[0]
    shown = image[..., :3] if image.shape[2] >= 3 else image[..., :1]
    if shown.dtype != np.uint8:
        low, high = np.percentile(shown, (1, 99), axis=(0, 1))
        stretched = (shown - low) / np.where(high > low, high - low, 1)
        shown = np.rint(255 * stretched.clip(0, 1)).astype("uint8")
    return np.ascontiguousarray(np.broadcast_to(shown, (*shown.shape[:2], 3)))
