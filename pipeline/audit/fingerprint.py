"""An image as a few hundred numbers that a copy of it shares: its lowest spatial frequencies.

The numbers are discrete cosine coefficients of the image at 32 x 32, as perceptual hashes take them
(Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010), but not rounded to bits:
their Euclidean distance is the difference of two pictures, and no bit flips where a coefficient is near 0.
"""

from typing import NamedTuple

import cv2
import numpy as np
from scipy.fft import dctn

VERSION = 1
"""Of the fingerprints: raised with every change of their numbers, so that saved ones are made again."""
SIDE = 32
"""Side in pixels to which images are reduced, whatever their shape: a turned copy has the same."""
LUMA, CHROMA = 16, 4
"""Sides of the blocks of low frequencies that are kept: of brightness, and of each colour difference."""
LENGTH = LUMA * LUMA + 2 * CHROMA * CHROMA
FLAT = 1.5
"""Standard deviation of brightness, in levels of 255, up to which an image is called one colour."""
POSITIONS = (
    "",
    "mirrored",
    "flipped",
    "turned by 180°",
    "transposed",
    "turned right",
    "turned left",
    "transposed the other way",
)
"""What may have been done to a copy: `turned` does it by its number."""


class Fingerprint(NamedTuple):
    """See `fingerprint`.

    Attributes
    ----------
    values : float32 (LENGTH,), of unit contrast; zeros for an image with hardly a difference of brightness.
    contrast : standard deviation of brightness, in levels of 255.
    """

    values: np.ndarray
    contrast: float


def fingerprint(image: np.ndarray) -> Fingerprint:
    """The fingerprint of a uint8 RGB image (H, W, 3).

    The mean brightness is left out and the contrast divided out of brightness and colours alike, so that a
    brighter, darker or paler copy has the same. Size, aspect ratio and compression hardly matter.
    """
    larger = min(image.shape[:2]) >= SIDE
    small = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA if larger else cv2.INTER_LINEAR)
    # Y, Cr, Cb of BT.601; halves of their span are 0.
    parts = cv2.cvtColor(small.astype(np.float32), cv2.COLOR_RGB2YCrCb)
    luma = _lowest(parts[..., 0], LUMA)
    luma[0, 0] = 0
    colours = [_lowest(parts[..., part] - 0.5, CHROMA) for part in (1, 2)]
    scale = float(np.linalg.norm(luma))
    contrast = max(scale / SIDE, max(float(image[..., part].std()) for part in range(3)))
    if contrast <= FLAT or scale <= FLAT * SIDE / 4:
        return Fingerprint(np.zeros(LENGTH, dtype=np.float32), contrast)
    values = np.concatenate([luma.ravel(), *(colour.ravel() for colour in colours)])
    return Fingerprint((values / scale).astype(np.float32), contrast)


def _lowest(part: np.ndarray, side: int) -> np.ndarray:
    return np.asarray(dctn(part, norm="ortho"))[:side, :side]


def turned(values: np.ndarray, position: int) -> np.ndarray:
    """Fingerprints (N, LENGTH) of the same images after ``POSITIONS[position]``.

    Mirroring changes the sign of every odd frequency along its axis, transposing swaps the axes.
    """
    blocks = []
    start = 0
    for side in (LUMA, CHROMA, CHROMA):
        block = values[:, start : start + side * side].reshape(-1, side, side)
        start += side * side
        sign = np.where(np.arange(side) % 2, -1, 1).astype(values.dtype)
        if position >= 4:
            block = block.transpose(0, 2, 1)
        if position % 2:
            block = block * sign
        if position // 2 % 2:
            block = block * sign[:, None]
        blocks.append(block.reshape(len(values), -1))
    return np.concatenate(blocks, axis=1)
