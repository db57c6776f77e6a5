"""in_threads: a function applied to many files at once."""

import sys
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from mstl.runtime.devices import clamp_workers

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(function: Callable[[Item], Result], items: Sequence[Item], label: str) -> list[Result]:
    """``map`` with a thread for each core, and a progress bar on stderr if that is a terminal."""
    from tqdm import tqdm

    with warnings.catch_warnings(), ThreadPoolExecutor(clamp_workers()) as pool:
        warnings.simplefilter("ignore")  # Pillow warns of odd metadata, which does no harm here
        results = pool.map(function, items)
        try:
            return list(tqdm(results, total=len(items), desc=label, leave=False, disable=not sys.stderr.isatty()))
        except BaseException:  # do not wait for all the others
            pool.shutdown(wait=False, cancel_futures=True)
            raise
