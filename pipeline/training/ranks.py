"""The processes that train one fold together, each on a device of its own and on its part of every batch.

torch's DistributedDataParallel (arXiv 2006.15704) averages their gradients, so that they take the step of one
process with the whole batch.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from timm.layers.norm_act import convert_sync_batchnorm
from torch import nn
from torch.nn.parallel import DistributedDataParallel

T = TypeVar("T")
Learner = Callable[[Any, Any], torch.Tensor]
"""From images and targets to the loss that is learnt from."""

TIMEOUT_MINUTES = 20
"""That one process waits for another: longer than any validation of a part of the images."""


@dataclass(frozen=True)
class Ranks:
    """One of the processes that train a fold; by default the only one.

    Attributes
    ----------
    rank : its number; the first one writes, and decides what depends on clocks.
    count : how many there are.
    """

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def same(self, value: T) -> T:
        """The first process's value, in all. Those that come earlier wait."""
        box = [value]
        if self.count > 1:
            dist.broadcast_object_list(box, src=0, device=torch.device("cpu"))
        return box[0]

    def all(self, value: T) -> list[T]:
        """The values of all processes, in all, by their numbers."""
        found: list[Any] = [value] * self.count
        if self.count > 1:
            dist.all_gather_object(found, value)
        return found

    def part(self, count: int) -> slice:
        """Which of so many things are this process's: all of them are some process's, and none is two's."""
        return slice(count * self.rank // self.count, count * (self.rank + 1) // self.count)

    def joined(self, model: nn.Module) -> nn.Module:
        """The network with statistics over all parts of a batch, where that can be had: on GPUs."""
        device = next(model.parameters()).device
        return convert_sync_batchnorm(model) if self.count > 1 and device.type == "cuda" else model

    def level(self, model: nn.Module) -> None:
        """Give all processes the first one's statistics, which each has of its own parts."""
        if self.count > 1:
            for buffer in model.buffers():
                dist.broadcast(buffer, src=0)

    def learner(self, model: nn.Module, objective: Callable[..., torch.Tensor]) -> Learner:
        """The loss of this process's part of a batch, whose gradients become the mean over the processes. To
        be asked for anew where other weights are to be trained."""
        if self.count == 1:
            return partial(objective, model)
        # Unused weights, as those of a head that a batch has nothing for, would else end training.
        return DistributedDataParallel(_Learning(model, objective), find_unused_parameters=True)

    def alone(self, learner: Learner) -> AbstractContextManager[object]:
        """Around a step whose gradients are added up here first, and exchanged with a later one's."""
        return learner.no_sync() if isinstance(learner, DistributedDataParallel) else nullcontext()

    def share(self, batch: int) -> float:
        """What a loss of this process's part is multiplied by, for the mean over the processes to be that of
        the whole batch."""
        part = self.part(batch)
        return (part.stop - part.start) * self.count / batch


ALONE = Ranks()
"""One process trains the fold."""


class _Learning(nn.Module):
    """A network whose output is its loss, as DistributedDataParallel wants it."""

    def __init__(self, model: nn.Module, objective: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        self.model, self.objective = model, objective

    def forward(self, images: Any, targets: Any) -> torch.Tensor:
        return self.objective(self.model, images, targets)


@contextmanager
def together(rank: int, count: int, device: torch.device, meeting: Path) -> Iterator[Ranks]:
    """In each of the processes: they find one another.

    Parameters
    ----------
    device : this process's.
    meeting : a file that is not there yet, the same one for all.
    """
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo",
        init_method=meeting.as_uri(),
        rank=rank,
        world_size=count,
        timeout=timedelta(minutes=TIMEOUT_MINUTES),
    )
    try:
        yield Ranks(rank, count)
    finally:
        dist.destroy_process_group()
