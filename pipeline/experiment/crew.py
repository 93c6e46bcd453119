"""Folds side by side on this machine: a process for each device."""

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

import torch

from pipeline.base.children import begin_child
from pipeline.base.errors import UserError
from pipeline.base.progress import plainly
from pipeline.experiment.work import Crew, FoldWork, Measured


class Processes:
    """See Crew: a process for each of these devices, which does one job after the other."""

    def __init__(self, pool: ProcessPoolExecutor, devices: Sequence[str], cores: int) -> None:
        self.pool, self.devices, self.cores = pool, devices, cores
        self.size = len(devices)
        self.at: list[Future[Measured] | None] = [None] * self.size

    def submit(self, work: FoldWork) -> "Future[Measured]":
        """See Crew."""
        place = next(number for number, future in enumerate(self.at) if future is None or future.done())
        future = self.pool.submit(_do, work.on(self.devices[place]), self.cores)
        self.at[place] = future
        return future

    def result(self, future: "Future[Measured]") -> Measured:
        """See Crew."""
        try:
            return future.result()
        except BrokenProcessPool as error:
            raise UserError(
                "a worker has ended, as happens where there is too little memory: the same command goes on "
                "from its last epoch, also with fewer --workers"
            ) from error


@contextmanager
def processes(devices: Sequence[str], cores: int) -> Iterator[Crew]:
    """A crew of processes, which end with the block; at once where it ends by an exception.

    Parameters
    ----------
    devices : of each process, as torch names them; one may be there several times.
    cores : threads that each computes with.
    """
    context = multiprocessing.get_context("spawn")  # a forked process could not use CUDA
    pool = ProcessPoolExecutor(len(devices), mp_context=context, initializer=begin_child)
    try:
        yield Processes(pool, devices, cores)
    except BaseException:
        for child in multiprocessing.active_children():
            child.terminate()  # all that they keep is written atomically
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def threads(cores: int | None) -> Iterator[None]:
    """Compute with so many threads inside; as many as before where that is None."""
    before = torch.get_num_threads()
    torch.set_num_threads(cores or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _do(work: FoldWork, cores: int) -> Measured:
    with threads(cores), plainly():
        return work()
