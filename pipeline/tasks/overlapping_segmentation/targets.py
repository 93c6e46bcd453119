"""The truth of masks that may overlap, for training."""

from collections.abc import Callable, Sequence

import albumentations as A
import numpy as np
import pandas as pd
import torch

from pipeline.inputs.smaller import file_sizes, mask_like
from pipeline.tasks.mask_truth import MaskTruth, Row


def truth_rows(frame: pd.DataFrame, truth: MaskTruth) -> list[Row]:
    """image_id and the truth's columns of each row."""
    names = ("image_id", *truth.columns)
    columns = [frame[name].tolist() for name in names]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


class Masks:
    """The masks of some images, read when they are needed."""

    fixed: torch.Tensor | None = None

    def __init__(self, frame: pd.DataFrame, truth: MaskTruth, count: int) -> None:
        """`frame` has the truth's columns, and where images are made smaller width and height."""
        self.rows, self.truth, self.count = truth_rows(frame, truth), truth, count
        self.sizes = file_sizes(frame)

    def example(self, index: int, read: Callable[[int], np.ndarray], transform: A.Compose) -> tuple:
        """See `pipeline.inputs.batches.Targets`."""
        image = read(index)
        height, width = self.sizes[index] or image.shape[:2]
        mask = self.truth.read(self.rows[index], height, width, self.count)
        both = transform(image=image, mask=mask_like(mask, image))
        return both["image"], both["mask"].reshape(*both["mask"].shape[:2], self.count)

    def batch(self, truths: Sequence[np.ndarray]) -> torch.Tensor:
        """uint8 (B, C, S, S): 1 inside, 0 outside, 255 where nothing counts."""
        return torch.from_numpy(np.stack(truths)).permute(0, 3, 1, 2).contiguous()
