"""Maps on disk, numbers from 0 to 1 for each channel and pixel: in a byte or two each, compressed."""

import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from pipeline.base.errors import UserError
from pipeline.base.files import atomic_path

LEVELS = 255


def save_map(path: Path, probabilities: np.ndarray, dtype: type[np.unsignedinteger] = np.uint8) -> None:
    """Write probabilities (C, H, W), from 0 to 1, atomically. The same map gives the same bytes.

    Each is rounded to the nearest of 256 levels, so it moves by at most 1/510. `load_map` scales each pixel
    to a sum of 1 again, after which a probability p is off by at most (1 + p C) / (510 - C); which of two
    classes is ahead does not change where they differ by more than 1/255.

    Parameters
    ----------
    dtype : uint8, or uint16 for 65,536 levels.

    Raises
    ------
    ValueError : another shape, or values that are not from 0 to 1.
    """
    if probabilities.ndim != 3:
        raise ValueError(f"a probability map has the shape (C, H, W), not {probabilities.shape}")
    low, high = float(probabilities.min(initial=0)), float(probabilities.max(initial=0))
    if not (low >= -1e-4 and high <= 1 + 1e-4):  # also refuses NaN
        raise ValueError(f"probabilities must be from 0 to 1, not from {low} to {high}")
    most = np.iinfo(dtype).max
    levels = np.rint(probabilities * np.float32(most)).clip(0, most).astype(dtype)
    # As numpy's savez_compressed, at the fastest level: a fifth of the time for a file three fifths larger.
    with (
        atomic_path(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("levels.npy", "w", force_zip64=True) as member,
    ):
        np.lib.format.write_array(member, levels)


def load_map(path: str | Path) -> np.ndarray:
    """Read what `save_map` wrote: float32 (C, H, W) that sums to 1 at each pixel, or to 0 where all is 0.

    Raises
    ------
    UserError : the file is missing or damaged.
    """
    levels = load_levels(path)
    total = levels.sum(axis=0, dtype=np.float32)
    return levels / np.maximum(total, 1)


def load_values(path: str | Path) -> np.ndarray:
    """Read what `save_map` wrote, channels that are independent: float32 (C, H, W) from 0 to 1.

    Raises
    ------
    UserError : the file is missing or damaged.
    """
    levels = load_levels(path)
    return levels / np.float32(np.iinfo(levels.dtype).max)


def load_levels(path: str | Path) -> np.ndarray:
    """Read what `save_map` wrote as it is stored: uint8 or uint16 (C, H, W).

    Raises
    ------
    UserError : the file is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            return stored["levels"]
    except FileNotFoundError:
        raise UserError(f"the probability map {path} is missing: predict again") from None
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"{path} is no readable probability map ({reason}): delete it and predict again"
        ) from error


def average_maps(
    paths: Sequence[str | Path], load: Callable[[str | Path], np.ndarray] = load_map
) -> np.ndarray:
    """Mean of stored maps, float32 (C, H, W), read by `load`; holds two of them at a time.

    Raises
    ------
    UserError : as `load_map`, or the maps differ in shape.
    ValueError : no paths.
    """
    if not paths:
        raise ValueError("no maps to average")
    total = load(paths[0])
    for path in paths[1:]:
        other = load(path)
        if other.shape != total.shape:
            raise UserError(
                f"the probability maps {paths[0]} and {path} have the shapes {total.shape} and "
                f"{other.shape}: predict both again from the same images and classes"
            )
        total += other
    total /= len(paths)
    return total
