"""Mask files: one class index per pixel, 255 where a pixel belongs to no class, in PASCAL VOC's colours.

The colours are the 256 of the development kit (http://host.robots.ox.ac.uk/pascal/VOC/voc2012/): the bits of
the index, spread over red, green and blue from the highest down.
"""

import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.base.errors import UserError, name_some
from pipeline.base.files import atomic_path

MaskReader = Callable[[str, str], np.ndarray]
"""Decodes the mask at a path, of an image id, to class indices uint8 (H, W)."""

IGNORE = 255
"""Index of pixels that neither train nor count: the borders that VOC's annotators drew around objects."""

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


def read_mask(path: str | Path, image_id: str, classes_count: int, colors: np.ndarray) -> np.ndarray:
    """Read a mask file as uint8 indices of shape (H, W).

    The pixels of a palette or greyscale file are indices. Those of an RGB file are colours, and each must be
    exactly one of the classes' or the ignored one's; transparency is not looked at. EXIF rotation is not
    applied.

    Parameters
    ----------
    classes_count : indices from this on are refused, but for 255.
    colors : uint8 (K, 3), the colour of each index; with 256 rows, the last is the colour of ignored pixels.

    Raises
    ------
    UserError : the file is missing or no image, or has a colour or index that is no class; names `image_id`.
    """
    try:
        with Image.open(path) as image:
            if image.mode not in ("P", "L", "1", "I", "I;16", "RGB", "RGBA"):
                image = image.convert("RGBA")
            pixels = np.asarray(image)
    except FileNotFoundError:
        raise UserError(f"image {image_id}: its mask {path} is missing; restore it") from None
    except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError) as error:
        reason = str(error).replace(str(path), "the file").replace("\n", " ")
        raise UserError(
            f"image {image_id}: its mask {path} is no readable image ({reason}); replace or remove it"
        ) from error
    indices = pixels if pixels.ndim == 2 else _indices(pixels[..., :3], image_id, path, classes_count, colors)
    present = np.unique(indices)
    wrong = present[(present >= classes_count) & (present != IGNORE)]
    if len(wrong):
        raise UserError(
            f"image {image_id}: its mask {path} has the index {name_some(wrong.tolist())}, and the "
            f"{classes_count} classes are 0 to {classes_count - 1}, besides {IGNORE} for ignored pixels; "
            "correct the mask"
        )
    return indices.astype(np.uint8)


def _indices(
    pixels: np.ndarray, image_id: str, path: str | Path, classes_count: int, colors: np.ndarray
) -> np.ndarray:
    """Map the colours (H, W, 3) to indices (H, W)."""
    known = np.append(np.arange(classes_count), IGNORE) if len(colors) > IGNORE else np.arange(classes_count)
    codes = _codes(colors[known])
    order = codes.argsort(kind="stable")
    given = _codes(pixels)
    place = np.searchsorted(codes[order], given).clip(max=len(order) - 1)
    found = order[place]
    unknown = np.unique(given[codes[found] != given])
    if len(unknown):
        names = [f"({code >> 16}, {code >> 8 & 255}, {code & 255})" for code in unknown.tolist()]
        raise UserError(
            f"image {image_id}: its mask {path} has the colour {name_some(names)}, which is no class's; "
            "a mask must be saved without smoothing or compression losses"
        )
    return known[found]


def _codes(colors: np.ndarray) -> np.ndarray:
    """One number for each colour (..., 3)."""
    return colors.astype(np.int64) @ np.array([1 << 16, 1 << 8, 1])


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
