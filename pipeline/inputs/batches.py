"""From manifest rows to batches: a batched path for packed images, a DataLoader for image files.

What is random depends on (seed, batch) alone, never on the number of workers or on what ran before, so a
resumed epoch is the epoch that was lost.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import albumentations as A
import numpy as np
import pandas as pd
import torch
from torch.utils.data import Dataset

from pipeline.base.device import to_device
from pipeline.config.groups import TrainConfig
from pipeline.config.reach import Reach
from pipeline.inputs.beside import Beside
from pipeline.inputs.copies import Copies, remade
from pipeline.inputs.loading import Loader, Loaders, Workers
from pipeline.inputs.preprocess import Preprocess, as_picture, eval_transform, normalise
from pipeline.networks.joint import Batch, Joint, pixels_of, singles
from pipeline.readers.decoding import Decoding


@dataclass(frozen=True, eq=False)
class Images:
    """The images of one split; equal to no other.

    Attributes
    ----------
    frame : manifest with image_id and path; and where there is a reach with width and height in pixels.
    packed : uint8 or float32 (N, H, W, C) in the frame's row order, or None.
    decoding : how an image is read where they are not packed.
    reach : larger images are made as small as this; None: they are read as they are.
    copies : where those may be kept, by the frame's content_hash.
    """

    frame: pd.DataFrame
    packed: np.ndarray | None
    decoding: Decoding = field(default_factory=Decoding)
    reach: Reach | None = None
    copies: Copies | None = None

    def __len__(self) -> int:
        return len(self.frame)

    def read(self, row: int) -> np.ndarray:
        """One image (H, W, C), uint8 or, where images are not of 8 bits, float32 with 0 for black and 1 for
        white. Raises UserError naming the image where its file cannot be read."""
        if self.packed is not None:
            return np.asarray(self.packed[row])
        path = self.copy(row)
        if path is not None and self.copies is not None:
            return self.copies.read(path, lambda: self.smaller(row))
        image = self.smaller(row)
        return image if self.shown(row) is None else remade(image)

    def smaller(self, row: int) -> np.ndarray:
        """One image from its own file, made smaller where the reach asks for it."""
        return self.decoding.image(self._row(row, self.decoding.reader.columns), self.reach)

    def shown(self, row: int) -> tuple[int, int] | None:
        """(height, width) that an image is made smaller to; None where it is left as it is."""
        if self.reach is None or self.packed is not None:
            return None
        return self.reach.shape(*self._file_size(row))

    def copy(self, row: int) -> Path | None:
        """Where the smaller copy of an image is kept; None where there is none to be."""
        shape = self.shown(row)
        if shape is None or self.copies is None:
            return None
        return self.copies.path(self._row(row, ("content_hash",)), shape)

    def size(self, row: int, image: np.ndarray) -> tuple[int, int]:
        """(height, width) of the file of an image that was read."""
        if self.shown(row) is None:
            return image.shape[0], image.shape[1]
        return self._file_size(row)

    def _file_size(self, row: int) -> tuple[int, int]:
        return int(self._values["height"][row]), int(self._values["width"][row])

    def _row(self, row: int, columns: Sequence[str]) -> dict[str, Any]:
        return {name: self._values[name][row] for name in ("image_id", "path", *columns)}

    @cached_property
    def _values(self) -> dict[str, np.ndarray]:
        """The frame's columns, whose values are asked for one by one."""
        return {str(name): self.frame[name].to_numpy(dtype=object) for name in self.frame}

    def picture(self, row: int) -> np.ndarray:
        """One image to look at, uint8 (H, W, 3); see `pipeline.inputs.preprocess.as_picture`."""
        return as_picture(self.read(row), self.decoding.reader.images)

    @property
    def packed_size(self) -> tuple[int, int] | None:
        """(height, width) of packed images."""
        return None if self.packed is None else self.packed.shape[1:3]

    def pixels(self, rows: np.ndarray) -> np.ndarray:
        """A copy of some packed images, (N, H, W, C)."""
        assert self.packed is not None
        return np.ascontiguousarray(self.packed[rows])


@dataclass(frozen=True, kw_only=True, eq=False)
class JoinedImages(Images):
    """The images of one split and then those of another, read the same way.

    Attributes
    ----------
    parts : both; `packed` stays None, for nothing is copied to join them.
    """

    parts: tuple[Images, Images]

    @classmethod
    def of(cls, first: Images, second: Images) -> "JoinedImages":
        """`first`, then `second`."""
        frame = pd.concat([first.frame, second.frame], ignore_index=True)
        return cls(frame=frame, packed=None, decoding=first.decoding, parts=(first, second))

    def read(self, row: int) -> np.ndarray:
        """See Images."""
        first, second = self.parts
        return first.read(row) if row < len(first) else second.read(row - len(first))

    @property
    def packed_size(self) -> tuple[int, int] | None:
        """See Images; None where the two differ."""
        first, second = (part.packed_size for part in self.parts)
        return first if first == second else None

    def pixels(self, rows: np.ndarray) -> np.ndarray:
        """See Images."""
        first, second = self.parts
        assert first.packed is not None and second.packed is not None
        pixels = np.empty((len(rows), *first.packed.shape[1:]), dtype=first.packed.dtype)
        own = rows < len(first)
        pixels[own] = first.packed[rows[own]]
        pixels[~own] = second.packed[rows[~own] - len(first)]
        return pixels


BatchTransform = Callable[[torch.Tensor, Preprocess], torch.Tensor]
"""Random change of a uint8 or float32 batch (B, C, H, W) on its device, by torch's generator."""


class Targets(Protocol):
    """The truth of some images, in their order."""

    fixed: torch.Tensor | None
    """All of it (N, ...), where augmenting an image leaves its truth alone; None where it does not."""

    def example(self, index: int, read: Callable[[int], np.ndarray], transform: A.Compose) -> tuple:
        """The image at `index`, which `read` decodes, and its truth, both transformed.

        Returns the pixels, (H, W, C), and anything `batch` understands.
        """
        ...

    def batch(self, truths: Sequence) -> Any:
        """What the objective gets for these images: tensors, in lists or dictionaries or alone."""
        ...


WHOLE = slice(None)


class TrainingBatches:
    """Augmented, normalised training batches; one pass visits every row once, in random order, or draws as
    many by their weights.

    The last, smaller batch of an epoch is dropped: batch statistics over a handful of images would disturb
    the network.
    """

    def __init__(
        self,
        *,
        images: Images,
        rows: np.ndarray,
        targets: Targets,
        transform: A.Compose,
        batch_transform: BatchTransform | None,
        train: TrainConfig,
        preprocess: Preprocess,
        device: torch.device,
        weights: np.ndarray | None = None,
        part: slice = WHOLE,
    ) -> None:
        """`batch_transform` does what `transform` does to all of a batch of packed images; None: they are
        loaded and changed one by one. `weights` (N,) say how often each row is drawn relative to the others;
        None: once a pass. `part` of each batch is all that is loaded, where several processes share it."""
        self.weights = None if weights is None else torch.from_numpy(weights.astype("float64"))
        self.images, self.rows, self.targets, self.transform = images, rows, targets, transform
        self.train, self.preprocess, self.device, self.part = train, preprocess, device, part
        self.batch_size = min(train.batch_size, len(rows))
        self.beside = Beside(images.frame.iloc[rows], images.decoding, preprocess)
        self.loader = Loader(_Examples(images, rows, targets, transform), train.workers, device)
        self.ahead: dict[int, Iterator[tuple[torch.Tensor, Any]]] = {}
        self.batch_transform, self.pixels = None, None
        if batch_transform and images.packed_size is not None and targets.fixed is not None:
            # All training rows at once: 150 MB for CIFAR-10, and on a GPU nothing is copied again.
            pixels = torch.from_numpy(images.pixels(rows))
            self.batch_transform, self.pixels = batch_transform, pixels.permute(0, 3, 1, 2).to(device)

    def __len__(self) -> int:
        return len(self.rows) * self.train.passes // self.batch_size

    def epoch(self, seed: int, following: int | None = None) -> Iterator[tuple[Batch, Any]]:
        """Yield (images float32 (B, C, H, W), targets) on the device; images in a `Joint` where rows are more
        than one image.

        Draws from torch's global generator, which it seeds with `seed`.

        Parameters
        ----------
        following : seed of the next epoch, whose first batches are loaded as soon as this one's all are.
        """
        order = self._order(torch.manual_seed(seed))
        if self.pixels is not None:
            made = self._in_memory(order)
        else:
            made = self.ahead.pop(seed, None) or self._loaded(order, seed)
        yield from self._batches(order, made)
        if following is not None and self.pixels is None:
            next_order = self._order(torch.Generator().manual_seed(following))
            self.ahead = {following: self._loaded(next_order, following)}

    def in_order(self, seed: int) -> tuple[Batch, Any]:
        """All rows as one batch of an epoch, in their order; draws as `epoch` does."""
        torch.manual_seed(seed)
        order = [torch.arange(len(self.rows))]
        made = self._in_memory(order) if self.pixels is not None else self._loaded(order, seed)
        return next(self._batches(order, made))

    def _batches(
        self, order: Sequence[torch.Tensor], made: Iterator[tuple[torch.Tensor, Any]]
    ) -> Iterator[tuple[Batch, Any]]:
        for chosen, (pixels, targets) in zip(order, made, strict=True):
            on_device = pixels.to(self.device, non_blocking=True)
            images = self.beside.join(normalise(on_device, self.preprocess), chosen[self.part])
            yield images, to_device(targets, self.device)

    def _order(self, generator: torch.Generator) -> Sequence[torch.Tensor]:
        """The rows of each batch of an epoch."""
        count = len(self.rows)
        passes = [
            torch.randperm(count, generator=generator)
            if self.weights is None
            else torch.multinomial(self.weights, count, replacement=True, generator=generator)
            for _ in range(self.train.passes)
        ]
        return torch.cat(passes)[: len(self) * self.batch_size].split(self.batch_size)

    def plain(self, count: int) -> torch.Tensor:
        """The first `count` training images, normalised but not augmented; those of bags one by one."""
        rows = self.rows[: max(1, count // self.preprocess.images)]
        batches = evaluation_batches(self.images, rows, self.preprocess, len(rows), Loaders(0, self.device))
        batch = next(batches)[1]
        if not isinstance(batch, Joint) or batch.counts is None:
            return pixels_of(batch)
        there = torch.arange(self.preprocess.images, device=batch.device) < batch.counts[:, None]
        return singles(batch.pixels, self.preprocess.images)[there.flatten()]

    def _in_memory(self, order: Sequence[torch.Tensor]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        assert self.pixels is not None and self.batch_transform is not None and self.targets.fixed is not None
        for chosen in order:
            pixels = self.pixels[chosen.to(self.device)]
            # All are changed, so that those of each part are as they would be without parts.
            changed = self.batch_transform(pixels, self.preprocess)[self.part]
            yield changed, self.targets.fixed[chosen[self.part]]

    def _loaded(self, order: Sequence[torch.Tensor], seed: int) -> Iterator[tuple[torch.Tensor, Any]]:
        first = 0 if self.part.start is None else int(self.part.start)  # other draws in each part
        return self.loader.load(
            [
                (chosen[self.part].numpy(), seed + number + 1_000_003 * first)
                for number, chosen in enumerate(order)
            ]
        )


class HeldOutBatches:
    """Batches of rows to measure on, the same each pass: every row once, in order."""

    def __init__(
        self,
        *,
        images: Images,
        rows: np.ndarray,
        targets: Targets,
        transform: A.Compose,
        batch_size: int,
        workers: Workers,
        preprocess: Preprocess,
        device: torch.device,
    ) -> None:
        """Parameters
        ----------
        targets : the truth of these rows, in their order.
        transform : nothing in it is random.
        """
        self.preprocess, self.device = preprocess, device
        self.order = list(torch.arange(len(rows)).split(batch_size))
        self.loader = Loader(_Examples(images, rows, targets, transform), workers, device)
        self.beside = Beside(images.frame.iloc[rows], images.decoding, preprocess)

    def __iter__(self) -> Iterator[tuple[Batch, Any, int]]:
        """Yield (images float32 (B, C, H, W), targets, B) on the device; images in a `Joint` where rows are
        more than one image."""
        loaded = self.loader.load([(places.numpy(), 0) for places in self.order])
        for places, (pixels, truths) in zip(self.order, loaded, strict=True):
            joined = self.beside.join(normalise(pixels.to(self.device), self.preprocess), places)
            yield joined, to_device(truths, self.device), len(pixels)


def evaluation_batches(
    images: Images, rows: np.ndarray, preprocess: Preprocess, batch_size: int, loaders: Loaders
) -> Iterator[tuple[np.ndarray, Batch]]:
    """Yield (image ids, images float32 (B, C, H, W)) for every row once, in order; nothing is random or
    dropped. Images are in a `Joint` where rows are more than one."""
    batches = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
    ids = images.frame["image_id"].to_numpy()
    if images.packed_size == preprocess.shape:
        loaded = (torch.from_numpy(images.pixels(batch)).permute(0, 3, 1, 2) for batch in batches)
    else:
        loaded = loaders.of(_Whole(images, preprocess)).load(batches)
    beside = Beside(images.frame.iloc[rows], images.decoding, preprocess)
    for number, (batch, pixels) in enumerate(zip(batches, loaded, strict=True)):
        places = np.arange(number * batch_size, number * batch_size + len(batch))
        yield ids[batch], beside.join(normalise(pixels.to(loaders.device), preprocess), places)


Sized = tuple[torch.Tensor, tuple[int, int]]
"""An image (H, W, C) on the CPU, and the height and width of its file."""
Steps = Callable[[Preprocess], Sequence[A.BasicTransform]]


def sized_images(
    images: Images, rows: np.ndarray, preprocess: Preprocess, steps: Steps, count: int, loaders: Loaders
) -> Iterator[tuple[np.ndarray, list[Sized]]]:
    """Yield (row numbers, images of any size) for every row once, in order, `count` at a time.

    Parameters
    ----------
    steps : what is done to each image; nothing of it is random.
    """
    parts = [rows[start : start + count] for start in range(0, len(rows), count)]
    return zip(parts, loaders.of(_Sized(images, preprocess, steps)).load(parts), strict=True)


class _Examples(Dataset):
    """Item ``(indices, seed)`` is one whole training batch, so that seeding albumentations is paid once."""

    def __init__(self, images: Images, rows: np.ndarray, targets: Targets, transform: A.Compose) -> None:
        self.images, self.rows, self.targets, self.transform = images, rows, targets, transform

    def __getitem__(self, batch: tuple[np.ndarray, int]) -> tuple[torch.Tensor, Any]:
        indices, seed = batch
        self.transform.set_random_seed(seed % 2**31)
        examples = [self.targets.example(int(index), self._read, self.transform) for index in indices]
        pixels, truths = zip(*examples, strict=True)
        return torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2), self.targets.batch(truths)

    def _read(self, index: int) -> np.ndarray:
        return self.images.read(int(self.rows[index]))


@dataclass(frozen=True)
class _Whole(Dataset):
    """Item ``rows`` is one batch (B, C, H, W) of images to evaluate."""

    images: Images
    preprocess: Preprocess

    def __getitem__(self, rows: np.ndarray) -> torch.Tensor:
        transform = self._transform
        pixels = np.stack([transform(image=self.images.read(int(row)))["image"] for row in rows])
        return torch.from_numpy(pixels).permute(0, 3, 1, 2)

    @cached_property
    def _transform(self) -> A.Compose:
        return eval_transform(self.preprocess)


@dataclass(frozen=True)
class _Sized(Dataset):
    """Item ``rows`` is a list of `Sized`."""

    images: Images
    preprocess: Preprocess
    steps: Steps

    def __getitem__(self, rows: np.ndarray) -> list[Sized]:
        return [self._sized(int(row)) for row in rows]

    def _sized(self, row: int) -> Sized:
        image = self.images.read(row)
        pixels = np.array(self._transform(image=image)["image"])
        return torch.from_numpy(pixels), self.images.size(row, image)

    @cached_property
    def _transform(self) -> A.Compose:
        return A.Compose(list(self.steps(self.preprocess)))
