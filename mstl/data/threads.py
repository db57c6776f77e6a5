"""A function applied to many files, in threads: all at once, or a few ahead of whoever takes the results."""

import contextlib
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from mstl.runtime.devices import clamp_workers
from mstl.runtime.progress import track

Item = TypeVar("Item")
Result = TypeVar("Result")

PENDING = 1000  # items that wait for a thread: those of all files would take a kilobyte each


def in_threads(function: Callable[[Item], Result], items: Sequence[Item], label: str) -> list[Result]:
    """``map`` with a thread for each core, whose progress is shown if it takes long."""
    results = ahead(function, items, clamp_workers(), PENDING)
    with warnings.catch_warnings(), contextlib.closing(results):
        warnings.simplefilter("ignore")  # Pillow warns of odd metadata, which does no harm here
        return list(track(results, label, len(items)))


def ahead(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int, pending: int
) -> Generator[Result, None, None]:
    """``map`` in threads, a few items ahead: the results of all would fill the memory.

    Args:
        function: What to apply.
        items: Taken in the calling thread, as they are needed.
        threads: The number of threads.
        pending: Items that are taken before the first result is.

    Yields:
        The results, in order. Whatever the function raises is raised in the place of its result.
    """
    pool = ThreadPoolExecutor(threads)
    futures: deque[Future[Result]] = deque()
    try:
        for item in items:
            futures.append(pool.submit(function, item))
            if len(futures) > pending:
                yield futures.popleft().result()
        while futures:
            yield futures.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
