"""Masks: one class index per pixel, 255 where a pixel belongs to no class, and PASCAL VOC's colours of them.

The colours are the 256 of the development kit (http://host.robots.ox.ac.uk/pascal/VOC/voc2012/): the bits of
the index, spread over red, green and blue from the highest down.
"""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.base.files import atomic_path

IGNORE = 255
"""Index of pixels that neither train nor count: the borders that VOC's annotators drew around objects. Which
value they have in a file is the competition's choice; see `pipeline.tasks.segmentation.reading`."""

VOC_CLASSES = (
    "background",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)


def _voc_colors() -> np.ndarray:
    index = np.arange(256)[:, None]
    channels = np.arange(3)[None]
    bits = [((index >> (3 * bit + channels)) & 1) << (7 - bit) for bit in range(8)]
    return np.stack(bits).sum(axis=0).astype(np.uint8)


VOC_COLORS = _voc_colors()
"""uint8 (256, 3): the RGB colour of each index."""


def drawing_colors(colors: np.ndarray) -> np.ndarray:
    """uint8 (256, 3): `colors` (K, 3) of the first K indices, VOC's of the others, such as the ignored."""
    return np.concatenate([colors, VOC_COLORS[len(colors) :]])


def write_mask(path: Path, mask: np.ndarray) -> None:
    """Write a mask as `mask_png` makes it, atomically."""
    content = mask_png(mask)
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def mask_png(mask: np.ndarray) -> bytes:
    """A palette PNG of uint8 indices (H, W) in VOC's colours. The same mask gives the same bytes.

    Raises
    ------
    ValueError : another dtype or shape.
    """
    if mask.dtype != np.uint8 or mask.ndim != 2:
        raise ValueError(f"a mask is uint8 (H, W), not {mask.dtype} {mask.shape}")
    image = Image.fromarray(mask)
    image.putpalette(VOC_COLORS.tobytes())
    content = io.BytesIO()
    image.save(content, format="PNG")
    return content.getvalue()
