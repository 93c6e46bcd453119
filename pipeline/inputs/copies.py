"""Copies of images, as small as a config can use them.

A copy is a memo and nothing else: an image that is made smaller is written and read again whether a copy is
kept or not, so a run's bytes do not depend on what was kept.
"""

import io
import uuid
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pipeline.base.errors import TEMPORARY

VERSION = 1
"""To be raised when what a copy holds changes."""
QUALITY = 95
"""Of JPEG."""
LOSSLESS = 128
"""Longest side in pixels up to which a copy keeps every value: blocks of 8 x 8 show in small images."""
CHECK = 4
"""Bytes at the end of a copy: the CRC-32 of all others. Decoders do not look at them."""


@dataclass(frozen=True)
class Copies:
    """A folder of copies."""

    folder: Path

    def path(self, row: Mapping[str, Any], shape: tuple[int, int]) -> Path:
        """Where the copy of this height and width is kept of an image.

        Parameters
        ----------
        row : with content_hash and path, of whose name the end counts: a JPEG file is made smaller while it
            is decoded, and other files of the same content are not, which may differ by a level.
        """
        content, end = str(row["content_hash"]), Path(str(row["path"])).suffix.lower()
        height, width = shape
        return self.folder / str(VERSION) / content[:2] / f"{content}-{width}x{height}{end}.copy"

    def read(self, path: Path, make: Callable[[], np.ndarray]) -> np.ndarray:
        """The image that is kept at `path`, or what would be kept there; one that is damaged is made again.

        Parameters
        ----------
        make : makes the smaller image (H, W, C), uint8 or float32.
        """
        try:
            content = path.read_bytes()
        except OSError:
            return remade(make())
        image = decoded(content)
        if image is None:
            content = encoded(make())
            write(path, content)
            image = decoded(content)
        assert image is not None
        return image


def remade(image: np.ndarray) -> np.ndarray:
    """An image (H, W, C) as its copy has it."""
    found = decoded(encoded(image))
    assert found is not None
    return found


def encoded(image: np.ndarray) -> bytes:
    """The content of a copy of an image (H, W, C): JPEG, or of a small image PNG, or the array as it is where
    it is no uint8 (H, W, 3)."""
    if image.dtype == np.uint8 and image.shape[2] == 3:
        pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        if max(image.shape[:2]) > LOSSLESS:
            content = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
        else:
            content = cv2.imencode(".png", pixels)[1].tobytes()
    else:
        buffer = io.BytesIO()
        np.save(buffer, image)
        content = buffer.getvalue()
    return content + zlib.crc32(content).to_bytes(CHECK, "big")


def decoded(content: bytes) -> np.ndarray | None:
    """The image (H, W, C) of a copy's content; None where that is not what was written."""
    if zlib.crc32(memoryview(content)[:-CHECK]).to_bytes(CHECK, "big") != content[-CHECK:]:
        return None
    if content.startswith(b"\x93NUMPY"):
        return np.load(io.BytesIO(content))
    return cv2.imdecode(np.frombuffer(content, dtype="uint8"), cv2.IMREAD_COLOR_RGB)


def write(path: Path, content: bytes) -> None:
    """Write a copy whole or not at all. It is not synced: what a power cut damages is made again."""
    temporary = path.with_name(f"{TEMPORARY}{uuid.uuid4().hex[:12]}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
