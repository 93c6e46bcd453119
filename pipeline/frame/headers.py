"""What the headers of image files say, without decoding them: sizes, and how an image is to be turned."""

import struct
from pathlib import Path

import pandas as pd
from PIL import Image

from pipeline.base.errors import UserError, name_some
from pipeline.base.progress import say

ORIENTATION = 0x0112
"""EXIF's tag: 1 as it is, 2 to 4 mirrored or by half a turn, 5 to 8 with width and height exchanged."""
UPRIGHT, QUARTER_TURNS = 1, (5, 6, 7, 8)


def image_size(path: str | Path, image_id: str) -> tuple[int, int]:
    """Width and height in pixels, as decoded: a header that asks for a quarter turn swaps them.

    Raises
    ------
    UserError : the file is missing or no image; names `image_id`.
    """
    width, height, orientation = _header(path, image_id)
    return (height, width) if orientation in QUARTER_TURNS else (width, height)


def tell_turned(frame: pd.DataFrame, annotations: str) -> None:
    """Say which images decoding turns or mirrors: a half turn keeps their size, so that nothing else shows
    whether they were annotated as they are stored or as they are shown. Files that are no images of Pillow's,
    such as arrays, have nothing to turn them.

    Parameters
    ----------
    frame : image_id and path.
    annotations : what was drawn on them, with its verb, such as ``their boxes are``.
    """
    rows = zip(frame["image_id"], frame["path"], strict=True)
    turned = [image_id for image_id, path in rows if _is_turned(path, image_id)]
    if turned:
        say(
            f"warning: {len(turned):,} image(s) are turned or mirrored as their EXIF header asks, and "
            f"{annotations} taken to be drawn on them as turned: {name_some(turned)}; `preview` shows "
            "whether they fit, and where they do not, remove the orientation from the files"
        )


def _is_turned(path: str, image_id: str) -> bool:
    try:
        return _header(path, image_id)[2] != UPRIGHT
    except UserError:
        return False


def _header(path: str | Path, image_id: str) -> tuple[int, int, int]:
    """Width and height as stored, and the orientation, upright where it is none that EXIF knows."""
    try:
        with Image.open(path) as image:
            orientation = image.getexif().get(ORIENTATION, UPRIGHT)
            known = isinstance(orientation, int) and UPRIGHT <= orientation <= QUARTER_TURNS[-1]
            return (*image.size, orientation if known else UPRIGHT)
    except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError) as error:
        reason = str(error).replace(str(path), "the file")
        raise UserError(f"image {image_id}: {path} is no readable image ({reason}); replace it") from error
