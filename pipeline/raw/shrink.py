"""Making images smaller: JPEG files while they are decoded, and arrays by averaging areas."""

from typing import NamedTuple

import cv2
import numpy as np
from PIL import ExifTags, Image

from pipeline.config.reach import Reach

REDUCTIONS = (8, 4, 2)
"""Factors by which a JPEG decoder can leave pixels out of its work: it transforms blocks of 8 x 8."""
ON_ITS_SIDE = (5, 6, 7, 8)
"""EXIF orientations of images whose rows are stored as columns."""


class Reduction(NamedTuple):
    """How an open image file becomes smaller.

    Attributes
    ----------
    shape : the height and width that it is to be brought to, upright.
    turned : whether its rows are stored as columns.
    box : the part of a reduced JPEG file that is the image, in pixels of what is decoded: a file ends in the
        middle of a block. None: the file is decoded whole.
    """

    shape: tuple[int, int]
    turned: bool
    box: tuple[float, float, float, float] | None

    def brought(self, image: Image.Image) -> Image.Image:
        """What was decoded of a reduced JPEG file at the size wanted, not yet upright.

        By triangles, whose means differ by 0.6 to 1.8 levels from those of areas of the whole file; Pillow's
        boxes have no fractions of pixels, and differ by up to 4.
        """
        height, width = self.shape
        size = (height, width) if self.turned else (width, height)
        return image.resize(size, Image.Resampling.BILINEAR, self.box)


def reduced(image: Image.Image, reach: Reach) -> Reduction | None:
    """Have an open image file, not yet loaded, decoded no larger than need be; None: it is left as it is.

    Only a JPEG file has smaller versions of itself; all others are decoded whole. What a file is told to give
    is never smaller than what is wanted. At 1/8 a file of 12 megapixels takes a third of the time.
    """
    turned = image.getexif().get(ExifTags.Base.Orientation, 1) in ON_ITS_SIDE
    width, height = image.size
    shape = reach.shape(width, height) if turned else reach.shape(height, width)
    if shape is None:
        return None
    tall, wide = shape[::-1] if turned else shape
    factor = next((one for one in REDUCTIONS if height // one >= tall and width // one >= wide), 1)
    drafted = image.draft(None, (width // factor, height // factor)) if factor > 1 else None
    return Reduction(shape, turned, drafted and drafted[1])


def resized(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """An image (H, W, C) at another height and width: where it gets smaller the means of areas, else
    interpolated."""
    height, width = shape
    if image.shape[:2] == shape:
        return image
    smaller = height * width < image.shape[0] * image.shape[1]
    method = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    groups = [  # OpenCV takes four channels
        cv2.resize(np.ascontiguousarray(image[..., start : start + 4]), (width, height), interpolation=method)
        for start in range(0, image.shape[2], 4)
    ]
    return np.concatenate([one if one.ndim == 3 else one[..., None] for one in groups], axis=2)


def shrunk(image: np.ndarray, reach: Reach | None) -> np.ndarray:
    """An image (H, W, C) no larger than the reach asks for; the image itself where that is None."""
    wanted = None if reach is None else reach.shape(*image.shape[:2])
    return image if wanted is None else resized(image, wanted)
