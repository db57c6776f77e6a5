"""Ctrl-C, which MindSpore would turn into an end without a word."""

import contextlib
import signal
import threading


def take_ctrl_c_back():
    """Put Python's own handler for Ctrl-C back in place.

    MindSpore's pipeline, when it starts, and its compiled graphs install one that ends the process by SIGTERM, with
    nothing saved.
    """
    if threading.current_thread() is threading.main_thread():
        handler = signal.getsignal(signal.SIGINT)  # what Python still believes to be installed
        if handler is not None:
            signal.signal(signal.SIGINT, handler)


@contextlib.contextmanager
def interruptible():
    """Let Ctrl-C raise KeyboardInterrupt while a compiled net runs.

    MindSpore then has a handler of its own in place, which sends the process SIGTERM, and that would end it with its
    temporary files left behind. So in this block, SIGTERM does what Ctrl-C should.
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
