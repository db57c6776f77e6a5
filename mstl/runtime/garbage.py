"""Garbage: when Python looks for objects that only refer to each other, which takes long beside MindSpore's million."""

import atexit
import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def not_collected() -> Iterator[None]:
    """Look for no garbage in this block, in which large packages are loaded.

    What they make stays: looking at it again and again takes a fifth of the time of loading MindSpore.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def not_collected_at_exit() -> None:
    """Let this process end without looking for garbage, which takes a third of a second once MindSpore is loaded.

    The system takes back all of its memory anyway.
    """
    atexit.unregister(gc.freeze)  # once is enough
    atexit.register(gc.freeze)
