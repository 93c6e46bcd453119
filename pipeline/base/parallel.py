"""Work in threads, a little ahead of whoever takes it."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_ahead(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """`function` of each item, in order, by as many threads as there are cores.

    No more than one result for each of them waits to be taken, so that memory stays flat, as it does not with
    `Executor.map`.
    """
    workers = os.cpu_count() or 1
    rest = iter(items)
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[Result]] = deque(
            pool.submit(function, one) for one in islice(rest, workers + 1)
        )
        while waiting:
            done = waiting.popleft().result()
            waiting.extend(pool.submit(function, one) for one in islice(rest, 1))
            yield done
