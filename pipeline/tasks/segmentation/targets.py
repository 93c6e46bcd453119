"""The truth of segmentation, for training."""

from collections.abc import Callable, Sequence
from pathlib import Path

import albumentations as A
import numpy as np
import pandas as pd
import torch
from PIL import Image

from pipeline.base.errors import UserError
from pipeline.base.files import atomic_path
from pipeline.base.progress import progress
from pipeline.inputs.smaller import file_sizes, mask_like
from pipeline.tasks.segmentation.palette import IGNORE
from pipeline.tasks.segmentation.reading import MaskReader

COUNTED = 1000
"""Most masks whose pixels are counted for the classes' shares."""


class Masks:
    """The masks of some images, read when they are needed."""

    fixed: torch.Tensor | None = None

    def __init__(self, frame: pd.DataFrame, read: MaskReader) -> None:
        """`frame` has image_id and mask, and where images are made smaller width and height."""
        self.paths, self.ids, self.read = frame["mask"].tolist(), frame["image_id"].tolist(), read
        self.sizes = file_sizes(frame)

    def pixels(self, classes: int) -> np.ndarray:
        """int64 (classes,): pixels of each class in at most `COUNTED` of the masks, evenly chosen."""
        step, total = -(-len(self.paths) // COUNTED), np.zeros(IGNORE + 1, dtype=np.int64)
        with progress("count pixels", len(self.paths[::step]), "masks") as advance:
            for path, image_id in zip(self.paths[::step], self.ids[::step], strict=True):
                total += np.bincount(self.read(path, image_id).ravel(), minlength=IGNORE + 1)
                advance(1)
        return total[:classes]

    def example(self, index: int, read: Callable[[int], np.ndarray], transform: A.Compose) -> tuple:
        """See `pipeline.inputs.batches.Targets`."""
        image, mask = read(index), self.read(self.paths[index], self.ids[index])
        check_size(self.ids[index], self.paths[index], mask.shape, self.sizes[index] or image.shape[:2])
        both = transform(image=image, mask=mask_like(mask, image))
        return both["image"], both["mask"]

    def batch(self, truths: Sequence[np.ndarray]) -> torch.Tensor:
        """int64 (B, S, S)."""
        return torch.from_numpy(np.stack(truths)).long()


def check_size(image_id: str, path: str, mask: tuple[int, ...], image: tuple[int, ...]) -> None:
    """Raise UserError where the shapes (H, W) of a mask and its image differ."""
    if tuple(mask) != tuple(image):
        raise UserError(
            f"image {image_id}: its mask {path} has {mask[1]} x {mask[0]} pixels and the image "
            f"{image[1]} x {image[0]}: replace one of them"
        )


def save_predicted(
    path: Path, probabilities: np.ndarray, threshold: float, values: Sequence[int], ignore: int | None
) -> bool:
    """Write the most probable class of each pixel as a mask file, and say whether any pixel counts.

    Parameters
    ----------
    probabilities : float32 (C, H, W).
    threshold : pixels of less probability get the value `ignore`.
    values : the value of each class.
    """
    mask = np.asarray(values)[probabilities.argmax(axis=0)]
    unsure = probabilities.max(axis=0) < threshold
    if unsure.all():
        return False
    if ignore is not None:
        mask = np.where(unsure, ignore, mask)
    with atomic_path(path) as temporary:
        Image.fromarray(mask.astype("uint8" if mask.max() < 256 else "uint16")).save(temporary)
    return True
