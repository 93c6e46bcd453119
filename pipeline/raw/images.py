"""Decoding: the only place where image files are opened."""

import hashlib
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from pipeline.base.errors import UserError


def read_rgb(path: str | Path, image_id: str) -> np.ndarray:
    """Decode an image file to uint8 RGB of shape (height, width, 3).

    EXIF rotation is applied, transparency is laid over white, 16-bit and CMYK images are brought to 8-bit
    RGB.

    Raises
    ------
    UserError : the file is missing, truncated or no image; names `image_id` and the path.
    """
    try:
        with Image.open(path) as image:
            return np.asarray(_to_rgb(ImageOps.exif_transpose(image)))
    except FileNotFoundError:
        raise UserError(
            f"image {image_id}: {path} is missing; restore it or delete the data folder to prepare again"
        ) from None
    except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError) as error:
        reason = str(error).replace(str(path), "the file").replace("\n", " ")
        raise UserError(
            f"image {image_id}: {path} is no readable image ({reason}); replace or remove it"
        ) from error


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        image.load()
        return image
    if image.mode.startswith("I;16") or image.mode == "I":
        # Pillow clips 16-bit values at 255 when it converts; the high byte is the picture.
        return Image.fromarray(
            (np.asarray(image).astype("uint32") >> 8).clip(0, 255).astype("uint8")
        ).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def content_hash(image: np.ndarray) -> str:
    """128-bit hash of the decoded pixels and the shape: equal for one picture in two lossless encodings."""
    return hashlib.blake2b(
        image.tobytes(), digest_size=16, person=repr(image.shape[:2]).encode()[:16]
    ).hexdigest()


class Decoded(NamedTuple):
    """What the manifest keeps of an image; `pixels` (height, width, 3) only of a small one."""

    width: int
    height: int
    content_hash: str
    pixels: np.ndarray | None


def decode_many(items: Sequence[tuple[str, str]], largest_side: int) -> list[Decoded]:
    """Decode (image_id, path) pairs in order; keeps the pixels of images up to `largest_side` on both sides.

    Raises
    ------
    UserError : as `read_rgb`.
    """
    records = []
    for image_id, path in items:
        image = read_rgb(path, image_id)
        height, width = image.shape[:2]
        small = max(height, width) <= largest_side
        records.append(Decoded(width, height, content_hash(image), image if small else None))
    return records
