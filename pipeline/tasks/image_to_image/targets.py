"""The truth of images of images: what a target file holds, from 0 black to 1 white."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import albumentations as A
import numpy as np
import torch
import torch.nn.functional as F

from pipeline.base.errors import UserError
from pipeline.readers.decoding import stored
from pipeline.readers.reader import Reader

ABSENT = -1
"""Value of a target where there is no image."""


@dataclass(frozen=True)
class TargetFiles:
    """Reads target images.

    Attributes
    ----------
    reader : of the files, whose paths it gets as ``path``.
    channels : that every target has: 1 for grey.
    white : stored value that is 1; None: the greatest of the file's kind of whole number, and 1 of others.
    """

    reader: Reader
    channels: int
    white: float | None

    def read(self, path: str, image_id: str, size: tuple[int, int] | None = None) -> np.ndarray:
        """float32 (H, W, channels) from 0 to 1.

        Parameters
        ----------
        size : height and width that it must have.

        Raises
        ------
        UserError : unreadable, of another size or number of channels, or values beyond black and white.
        """
        name = f"image {image_id}: its target {path}"
        values = stored(self.reader, {"image_id": image_id, "path": path})
        if self.channels == 1 and values.shape[2] in (3, 4) and (values[..., :3] == values[..., :1]).all():
            values = values[..., :1]  # grey, stored as colours
        if values.shape[2] != self.channels:
            raise UserError(
                f"{name} has {values.shape[2]} channel(s), and the task is given {self.channels}: "
                "convert it, or give ImageToImage channels="
            )
        height, width = values.shape[:2]
        if size is not None and (height, width) != tuple(size):
            raise UserError(
                f"{name} has {width} x {height} pixels and the image {size[1]} x {size[0]}: replace one of "
                "them"
            )
        white = self.white or (np.iinfo(values.dtype).max if values.dtype.kind in "ui" else 1)
        scaled = values.astype("float32") / np.float32(white)
        if not (scaled.min(initial=0) >= 0 and scaled.max(initial=0) <= 1):  # also refuses NaN
            raise UserError(
                f"{name} has values from {values.min():g} to {values.max():g}, and black is 0 and white "
                f"{white:g}: give ImageToImage white="
            )
        return scaled


class TargetImages:
    """The targets of some images, read when they are needed."""

    fixed: torch.Tensor | None = None

    def __init__(self, paths: list[str], ids: list[str], files: TargetFiles) -> None:
        self.paths, self.ids, self.files = paths, ids, files

    def example(self, index: int, read: Callable[[int], np.ndarray], transform: A.Compose) -> tuple:
        """See `pipeline.inputs.batches.Targets`."""
        image = read(index)
        height, width = image.shape[:2]
        target = self.files.read(self.paths[index], self.ids[index], (height, width))
        both: dict[str, Any] = transform(image=image, mask=target)
        return both["image"], both["mask"].reshape(*both["mask"].shape[:2], self.files.channels)

    def batch(self, truths: Sequence[np.ndarray]) -> torch.Tensor:
        """float32 (B, C, S, S), `ABSENT` where there is no image."""
        return torch.from_numpy(np.stack(truths)).permute(0, 3, 1, 2).contiguous()


LOSSES = {"mse": F.mse_loss, "l1": F.l1_loss, "smooth_l1": F.smooth_l1_loss}


def masked_loss(name: str) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """A loss of `LOSSES`, a mean over the values that are there; 0 where none is."""

    def loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        there = targets >= 0
        errors = LOSSES[name](outputs, targets, reduction="none")
        return (errors * there).sum() / there.sum().clamp(min=1)

    return loss
