"""Ctrl-C, at which MindSpore's own signal handlers would end the process with nothing saved."""

import contextlib
import signal
import threading
from collections.abc import Iterator


def take_ctrl_c_back() -> None:
    """Install Python's handler for Ctrl-C again.

    MindSpore's pipeline, when it starts, and its compiled graphs install one that ends the process by SIGTERM.
    """
    if threading.current_thread() is threading.main_thread():
        handler = signal.getsignal(signal.SIGINT)  # the one that Python believes to be installed
        if handler is not None:
            signal.signal(signal.SIGINT, handler)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C raise KeyboardInterrupt while a compiled graph runs.

    MindSpore then has a handler installed that answers Ctrl-C by sending the process SIGTERM, which would leave
    temporary files behind. In this block, SIGTERM does what Ctrl-C should do.
    """
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield
        return
    before = signal.signal(signal.SIGTERM, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        take_ctrl_c_back()
