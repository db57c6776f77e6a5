"""Sharing: several processes each compute a part of the features, and read the others' from the feature cache."""

import contextlib
import signal
from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mstl.engines.parts import Engines
from mstl.runtime import stopping
from mstl.runtime.processes import ProcessGroup

Indices: TypeAlias = NDArray[np.int64]


class EngineRefused(Exception):
    """Another engine has to compute the features: all of them, as those of two are not mixed."""


@contextlib.contextmanager
def all_together(processes: ProcessGroup, engines: Engines) -> Iterator[Callable[[Indices], Indices]]:
    """In this block each process computes its share and puts it into the feature cache; behind it, all have done so.

    If one of them is asked to stop or has refused an engine, they all stop, or refuse it: those that wait for the
    others would wait for ever.

    Args:
        processes: Those that have come here with the same images missing.
        engines: What computes the features in this process.

    Yields:
        A function from all that are missing to the share of this process.

    Raises:
        Stopped: One of the processes was asked to stop.
        EngineRefused: One of them has refused the engine.
    """
    ended: BaseException | None = None
    processes.any(False)  # none adds to the cache before all have looked what is missing
    try:
        yield lambda missing: missing[processes.rank :: processes.size]
    except (stopping.Stopped, EngineRefused) as reason:
        ended = reason
    is_stopped, is_refused = processes.any(
        isinstance(ended, stopping.Stopped) or stopping.REQUEST.signum is not None, isinstance(ended, EngineRefused)
    )
    if is_stopped:
        raise ended or stopping.Stopped(stopping.REQUEST.signum or signal.SIGTERM)
    if is_refused and ended is None:
        engines.refuse("another process has refused it")
    if is_refused:
        raise EngineRefused
