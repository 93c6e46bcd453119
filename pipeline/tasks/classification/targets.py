"""The truth of classification, for training."""

from collections.abc import Callable, Sequence

import albumentations as A
import numpy as np
import torch


class Labels:
    """One class index per image; augmenting an image leaves it alone."""

    def __init__(self, fixed: torch.Tensor) -> None:
        self.fixed: torch.Tensor | None = fixed
        self._labels = fixed

    def example(self, index: int, read: Callable[[int], np.ndarray], transform: A.Compose) -> tuple:
        """See `pipeline.inputs.batches.Targets`."""
        return transform(image=read(index))["image"], self._labels[index]

    def batch(self, truths: Sequence[torch.Tensor]) -> torch.Tensor:
        """int64 (B,)."""
        return torch.stack(list(truths))
