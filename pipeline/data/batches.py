"""From manifest rows to batches: a batched path for packed images, a DataLoader for image files.

What is random depends on (seed, batch) alone, never on the number of workers or on what ran before, so a
resumed epoch is the epoch that was lost.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader, Dataset

from pipeline.config import Config
from pipeline.data.images import read_rgb
from pipeline.errors import UserError
from pipeline.transforms import (
    Preprocess,
    augment_batch,
    batched_is_enough,
    eval_transform,
    normalise,
    train_transform,
)


@dataclass(frozen=True)
class Images:
    """The images of one split.

    Attributes
    ----------
    frame : manifest with image_id and path.
    packed : uint8 (N, H, W, 3) in the frame's row order, or None.
    """

    frame: pd.DataFrame
    packed: np.ndarray | None

    def __len__(self) -> int:
        return len(self.frame)

    def read(self, row: int) -> np.ndarray:
        """One uint8 RGB image (H, W, 3). Raises UserError naming the image where its file cannot be read."""
        if self.packed is not None:
            return np.asarray(self.packed[row])
        return read_rgb(self.frame["path"].iat[row], self.frame["image_id"].iat[row])

    @property
    def packed_size(self) -> tuple[int, int] | None:
        """(height, width) of packed images."""
        return None if self.packed is None else self.packed.shape[1:3]


class TrainingBatches:
    """Augmented, normalised training batches; one pass of `epoch` visits every row once, in random order.

    The last, smaller batch is dropped: batch statistics over a handful of images would disturb the network.
    """

    def __init__(
        self,
        images: Images,
        rows: np.ndarray,
        targets: torch.Tensor,
        config: Config,
        preprocess: Preprocess,
        device: torch.device,
    ) -> None:
        self.images, self.rows, self.targets = images, rows, targets
        self.config, self.preprocess, self.device = config, preprocess, device
        self.batch_size = min(config.train.batch_size, len(rows))
        self.batched = batched_is_enough(config.augment, images.packed_size, preprocess.size)
        if self.batched:
            # All training rows at once: 150 MB for CIFAR-10, and on a GPU nothing is copied again.
            pixels = torch.from_numpy(np.ascontiguousarray(images.packed[rows]))
            self.pixels = pixels.permute(0, 3, 1, 2).to(device)

    def __len__(self) -> int:
        return len(self.rows) // self.batch_size

    def epoch(self, seed: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield (images float32 (B, 3, S, S), targets (B, ...)) on the device.

        Draws from torch's global generator, which it seeds with `seed`.
        """
        torch.manual_seed(seed)
        order = torch.randperm(len(self.rows))[: len(self) * self.batch_size].split(self.batch_size)
        for chosen, pixels in zip(order, self._pixels(order, seed), strict=True):
            yield normalise(pixels, self.preprocess), self.targets[chosen].to(self.device, non_blocking=True)

    def plain(self, count: int) -> torch.Tensor:
        """The first `count` training images, normalised but not augmented."""
        batches = evaluation_batches(self.images, self.rows[:count], self.preprocess, count, 0, self.device)
        return next(batches)[1]

    def _pixels(self, order: tuple[torch.Tensor, ...], seed: int) -> Iterator[torch.Tensor]:
        if self.batched:
            for chosen in order:
                yield augment_batch(
                    self.pixels[chosen.to(self.device)], self.config.augment, self.preprocess.mean
                )
        else:
            dataset = _TransformedImages(self.images, train_transform(self.config.augment, self.preprocess))
            batches = [(self.rows[chosen.numpy()], seed + number) for number, chosen in enumerate(order)]
            yield from _load(dataset, batches, self.config.train.workers, self.device)


def evaluation_batches(
    images: Images,
    rows: np.ndarray,
    preprocess: Preprocess,
    batch_size: int,
    workers: int,
    device: torch.device,
) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
    """Yield (image ids, images float32 (B, 3, S, S)) for every row once, in order; nothing is random or
    dropped."""
    batches = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
    ids = images.frame["image_id"].to_numpy()
    if images.packed_size == (preprocess.size, preprocess.size):
        loaded = (
            torch.from_numpy(np.ascontiguousarray(images.packed[batch])).permute(0, 3, 1, 2)
            for batch in batches
        )
    else:
        dataset = _TransformedImages(images, eval_transform(preprocess))
        loaded = _load(dataset, [(batch, 0) for batch in batches], workers, device)
    for batch, pixels in zip(batches, loaded, strict=True):
        yield ids[batch], normalise(pixels.to(device), preprocess)


class _TransformedImages(Dataset):
    """Item ``(rows, seed)`` is one whole uint8 batch (B, 3, S, S), so that seeding albumentations is paid
    once."""

    def __init__(self, images: Images, transform) -> None:
        self.images, self.transform = images, transform

    def __getitem__(self, batch: tuple[np.ndarray, int]) -> torch.Tensor | UserError:
        rows, seed = batch
        self.transform.set_random_seed(seed % 2**31)
        try:
            pixels = np.stack([self.transform(image=self.images.read(int(row)))["image"] for row in rows])
        except UserError as error:
            return error  # raised in a worker process it would arrive wrapped in a traceback
        return torch.from_numpy(pixels).permute(0, 3, 1, 2)


def _load(dataset: Dataset, batches: list, workers: int, device: torch.device) -> Iterator[torch.Tensor]:
    workers = min(workers, len(batches))
    loader = DataLoader(
        dataset,
        batch_size=None,
        sampler=batches,
        num_workers=workers,
        pin_memory=device.type == "cuda",
        prefetch_factor=4 if workers else None,
    )
    for pixels in loader:
        if isinstance(pixels, UserError):
            raise pixels
        yield pixels.to(device, non_blocking=True)
