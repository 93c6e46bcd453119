"""Decoding of photographs."""

import hashlib
import io
import os
import stat
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps

from pipeline.base.errors import UserError
from pipeline.config.reach import Reach
from pipeline.raw.jpeg_end import with_end
from pipeline.raw.levels import Levels, OutsideError, stored_values, to_8_bit
from pipeline.raw.shrink import reduced, resized

LIMIT_VARIABLE = "PODIUM_MAX_PIXELS"
"""Environment variable with the most pixels that an image may have; it reaches every process that decodes."""

if os.environ.get(LIMIT_VARIABLE, "").isdecimal():
    Image.MAX_IMAGE_PIXELS = int(os.environ[LIMIT_VARIABLE])


class UnreadableImageError(UserError):
    """An image file that cannot be read.

    Attributes
    ----------
    reason : names the path and what is wrong with the file.
    """

    def __init__(self, image_id: str, reason: str, way_out: str) -> None:
        super().__init__(f"image {image_id}: {reason}; {way_out}")
        self.reason = reason


def read_rgb(
    path: str | Path, image_id: str, levels: Levels | None = None, reach: Reach | None = None
) -> np.ndarray:
    """Decode an image file to uint8 RGB of shape (height, width, 3).

    EXIF rotation is applied, transparency is laid over white, CMYK becomes RGB, and of several pages the
    first is read. A JPEG that lacks only its end marker is whole.

    Parameters
    ----------
    levels : black and white of images of more than 8 bits; None where there are none.
    reach : make a larger image as small as this; None: read all its pixels.

    Raises
    ------
    UnreadableImageError : the file is missing, truncated or no image, or has other levels; names `image_id`
        and the path.
    """
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):  # opening a pipe would wait for ever
            reason = f"{path} is no readable image (it is a folder, a pipe or a device)"
            raise UnreadableImageError(image_id, reason, REPLACE)
        try:
            return _decoded(path, path, levels, reach)
        except OSError as error:
            whole = with_end(Path(path).read_bytes()) if "truncated" in str(error) else None
            if whole is None:
                raise
            return _decoded(io.BytesIO(whole), path, levels, reach)
    except UserError:
        raise
    except FileNotFoundError:
        raise whats_missing(image_id, path) from None
    except Image.DecompressionBombError as error:
        reason = f"{path} has more pixels than a harmless image ({error})"
        way_out = f"if you trust it, set {LIMIT_VARIABLE} to so many in the environment"
        raise UnreadableImageError(image_id, reason, way_out) from None
    except OutsideError as error:
        raise UnreadableImageError(image_id, f"{path}: {error}", "or remove it") from None
    except Exception as error:  # decoders raise anything on damaged bytes: IndexError, struct.error, ...
        detail = " ".join(str(error).replace(str(path), "the file").split()) or type(error).__name__
        raise UnreadableImageError(image_id, f"{path} is no readable image ({detail})", REPLACE) from error


REPLACE = "replace or remove it"


def whats_missing(image_id: str, path: str | Path) -> UnreadableImageError:
    """The error of a file that is not there."""
    what = "is a link to a file that is missing" if Path(path).is_symlink() else "is missing"
    way_out = "restore it or delete the data folder to prepare again"
    return UnreadableImageError(image_id, f"{path} {what}", way_out)


def _decoded(
    file: str | Path | io.BytesIO, path: str | Path, levels: Levels | None, reach: Reach | None
) -> np.ndarray:
    with Image.open(file) as image:
        smaller = None if reach is None else reduced(image, reach)
        if smaller and smaller.box:
            return np.asarray(ImageOps.exif_transpose(smaller.brought(_to_rgb(image))))
        values = stored_values(image, path)
        if values is None:
            pixels = np.asarray(_to_rgb(ImageOps.exif_transpose(image)))
            return resized(pixels, smaller.shape) if smaller else pixels
        alpha = (values[..., 3:] >> 8).astype("uint8") if values.ndim == 3 else None
        shallow = to_8_bit(values if values.ndim == 2 else values[..., :3], levels)
        if alpha is not None and alpha.shape[2]:
            shallow = np.concatenate([shallow, alpha], axis=2)
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    turned = Image.fromarray(shallow)
    turned.getexif()[ExifTags.Base.Orientation] = orientation
    pixels = np.asarray(_to_rgb(ImageOps.exif_transpose(turned)))
    return resized(pixels, smaller.shape) if smaller else pixels


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        image.load()
        return image
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def content_hash(image: np.ndarray) -> str:
    """128-bit hash of the decoded values, their type and the shape: equal for one picture in two lossless
    encodings."""
    photograph = image.dtype == np.uint8 and image.shape[2:] == (3,)
    return hashlib.blake2b(
        image.tobytes(),
        digest_size=16,
        key=b"" if photograph else f"{image.dtype.str} {image.shape[2:]}".encode(),
        person=repr(image.shape[:2]).encode()[:16],
    ).hexdigest()
