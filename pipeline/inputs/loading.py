"""Loading in processes that stay from one pass to the next: starting them anew each epoch took longer than
many an epoch."""

import itertools
import time
from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch.utils.data import DataLoader, Dataset

from pipeline.base.errors import UserError

AHEAD = 4
"""Items that each process loads before they are asked for."""
MOST_AHEAD = 2 * 10**9
"""Bytes of all items loaded ahead, of which a machine has room beside a network."""
WORTH_S = 0.25
"""Seconds of loading for which a process is worth its start."""

Workers = int | Literal["auto"]
"""Processes that load; auto: as many as what is to be loaded is worth, one for each thread that computes."""


class Loader:
    """Items of one dataset, pass after pass, in any order."""

    def __init__(self, dataset: Dataset, workers: Workers, device: torch.device) -> None:
        """`device` is where the items will go."""
        self.dataset, self.device, self.order = dataset, device, _Order()
        self.workers: Workers = workers
        self.loader: DataLoader | None = None

    def load(self, order: list) -> Iterator[Any]:
        """The items of these keys, in their order; they begin to be loaded at once. What an earlier pass has
        not yielded yet is given up.

        Raises
        ------
        UserError : what the dataset raises, when it would be its item's turn.
        """
        first: list[Any] = []
        if self.loader is None and isinstance(self.workers, int):
            self.loader = self._started(min(self.workers, len(order)), AHEAD)
        elif self.loader is None:
            began = time.perf_counter()
            first = [_Caught(self.dataset)[key] for key in order[:1]]
            seconds = time.perf_counter() - began
            self.loader = self._started(*_enough(seconds, _bytes(first), len(order) - len(first)))
        self.order.keys = order[len(first) :]
        return _checked(itertools.chain(first, iter(self.loader)))

    def _started(self, workers: int, ahead: int) -> DataLoader:
        return DataLoader(
            _Caught(self.dataset),
            batch_size=None,
            sampler=self.order,
            num_workers=workers,
            collate_fn=_same,
            persistent_workers=workers > 0,
            pin_memory=self.device.type == "cuda",
            prefetch_factor=ahead if workers else None,
            generator=torch.Generator(),  # it draws a seed each pass: not from the generator that trains
        )


class Loaders:
    """Loaders of what is looked at several times, such as the validation images after each epoch."""

    def __init__(self, workers: Workers, device: torch.device) -> None:
        self.workers: Workers = workers
        self.device = device
        self.kept: list[Loader] = []

    def of(self, dataset: Dataset) -> Loader:
        """The loader of an equal dataset, with its processes; a new one where there is none."""
        found = next((one for one in self.kept if one.dataset == dataset), None)
        if found is None:
            found = Loader(dataset, self.workers, self.device)
            self.kept.append(found)
        return found


def _enough(seconds: float, size: int, left: int) -> tuple[int, int]:
    """Processes, and items that each loads ahead.

    Parameters
    ----------
    seconds, size : of one item; `size` in bytes.
    left : items that are still to be loaded.
    """
    room = MOST_AHEAD // max(1, size)
    workers = min(torch.get_num_threads(), left, room, int(seconds * left / WORTH_S))
    return workers, max(1, min(AHEAD, room // max(1, workers)))


def _bytes(item: Any) -> int:
    if isinstance(item, list | tuple):
        return sum(_bytes(part) for part in item)
    return getattr(item, "nbytes", 0)


def _checked(items: Iterator[Any]) -> Iterator[Any]:
    for item in items:
        if isinstance(item, UserError):
            raise item
        yield item


def _same(item: Any) -> Any:
    return item


class _Order:
    """Keys that a DataLoader asks for, which are others each pass."""

    def __init__(self) -> None:
        self.keys: list = []

    def __iter__(self) -> Iterator:
        return iter(self.keys)

    def __len__(self) -> int:
        return len(self.keys)


class _Caught(Dataset):
    """A UserError as an item: raised in another process it would arrive wrapped in a traceback."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def __getitem__(self, key: Any) -> Any:
        try:
            return self.dataset[key]
        except UserError as error:
            return error
