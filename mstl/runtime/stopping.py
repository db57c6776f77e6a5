"""Stopping: a request to end a run, by Ctrl-C or another signal, which the training loop reads between steps.

MindSpore replaces the handler of SIGINT whenever a pipeline or a compiled graph starts, by one that sends SIGTERM. A
command therefore blocks the signals that ask it to end (:func:`watch`), before any thread is started: no handler ever
gets them, only a thread that waits for them. In a notebook or script, whose signals are not mstl's, a handler for
Ctrl-C is installed for the time of the training loop (:func:`deferred`).
"""

import _thread
import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any

from mstl.runtime.environment import is_scheduler

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
WAKE = signal.SIGURG  # ignored by default; ends a system call that the main thread waits in
REPEAT = 1.0  # seconds in which the same request may come twice: timeout(1) signals process and group


class Stopped(KeyboardInterrupt):
    """A request to stop, taking effect.

    Args:
        signum: The signal by which it came.
        message: One line for the user.
    """

    def __init__(self, signum: int, message: str = "stopped before the first epoch was finished: start again") -> None:
        super().__init__(message)
        self.signum = signum

    @property
    def exit_code(self) -> int:
        """The exit code of a process that ends for this reason."""
        return 128 + self.signum


class StopRequest:
    """Whether the run of this process was asked to stop.

    Attributes:
        signum: The signal by which; None if it was not.
        is_deferred: Whether a request waits until the training loop reads it; else it interrupts the main thread.
        is_watched: Whether a thread of this process waits for the signals.
    """

    def __init__(self) -> None:
        self.is_deferred = self.is_watched = False
        self.signals: tuple[signal.Signals, ...] = ()
        self.watcher: threading.Thread | None = None
        self.terminals: list[int] = []
        self.forget()

    def forget(self) -> None:
        """Forget a request: the run has ended."""
        self.signum: int | None = None
        self.is_raised = self.is_announced = False
        self.time = 0.0

    def check(self) -> None:
        """Raise Stopped if there is a request."""
        if self.signum is not None:
            self.is_raised = True
            raise Stopped(self.signum)

    def take(self, signum: signal.Signals) -> None:
        """Take in a signal; the second one ends the process at once.

        A terminal that is closed may send SIGHUP twice, so that does not count as a second one.
        """
        now = time.monotonic()
        if signum == signal.SIGHUP:
            silence(self.terminals)
        if self.signum is not None:
            if signum != signal.SIGHUP and now - self.time > REPEAT:
                os._exit(128 + signum)
            return
        self.signum, self.time = signum, now
        if not self.is_deferred and threading.current_thread() is self.watcher:
            self.is_announced = True
            _thread.interrupt_main(signum)
            signal.pthread_kill(threading.main_thread().ident or 0, WAKE)

    def watch(self) -> None:
        """Take in signals, for ever."""
        while True:
            signum = signal.Signals(signal.sigwait(self.signals))
            if not self.is_watched:
                return
            self.take(signum)

    def interrupt(self, signum: int, _frame: FrameType | None) -> None:
        """Handle a request in the main thread: one that the watcher has taken, or that came past it.

        The latter come by threads that were started before the signals were blocked.
        """
        if not self.is_announced:
            self.take(signal.Signals(signum))
        self.is_announced = False
        if not self.is_deferred and not self.is_raised:
            self.check()

    def note(self, _signum: int, _frame: FrameType | None) -> None:
        """Handle Ctrl-C in a notebook or script: the second one interrupts as usual."""
        if self.signum is not None:
            raise KeyboardInterrupt
        self.signum = signal.SIGINT


REQUEST = StopRequest()  # a process has one run at a time


def check() -> None:
    """Raise Stopped if this process was asked to stop."""
    REQUEST.check()


def watch() -> None:
    """Take over the signals that ask this process to end, for the rest of its life.

    Called by a command before anything else: threads inherit what is blocked. Signals that the process was started to
    ignore, as by nohup, stay ignored. The scheduler of msrun, which runs the command too, keeps its signals.
    """
    if REQUEST.is_watched or threading.current_thread() is not threading.main_thread() or is_scheduler():
        return
    REQUEST.forget()
    REQUEST.signals = tuple(number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN)
    REQUEST.terminals = [number for number in (1, 2) if is_terminal(number)]
    signal.pthread_sigmask(signal.SIG_BLOCK, REQUEST.signals)
    for number in REQUEST.signals:
        signal.signal(number, REQUEST.interrupt)
    signal.signal(WAKE, lambda *_: None)
    REQUEST.is_watched = True
    REQUEST.watcher = threading.Thread(target=REQUEST.watch, name="mstl-signals", daemon=True)
    REQUEST.watcher.start()


def unwatch() -> None:
    """Undo :func:`watch`, where the process goes on after the command."""
    watcher = REQUEST.watcher
    if not REQUEST.is_watched or watcher is None:
        return
    REQUEST.is_watched = False
    if REQUEST.signals:
        signal.pthread_kill(watcher.ident or 0, REQUEST.signals[0])
        watcher.join()
    give_back()
    signal.signal(WAKE, signal.SIG_DFL)
    REQUEST.forget()


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """In this block, a request to stop waits until :func:`check` is called.

    In a notebook or script that has not its own handler of Ctrl-C, that is such a request here; so is SIGTERM, which
    MindSpore makes of it. In a thread that is not the main one, nothing is.
    """
    before: dict[signal.Signals, Any] = {}
    handler = signal.getsignal(signal.SIGINT)
    is_main = threading.current_thread() is threading.main_thread()
    if not REQUEST.is_watched and is_main and handler is signal.default_int_handler:
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, REQUEST.note)
    REQUEST.is_deferred = True
    try:
        check()
        yield
    finally:
        REQUEST.is_deferred = False
        if not REQUEST.is_watched:
            REQUEST.forget()
        for number, handler in before.items():
            signal.signal(number, handler)


def give_back() -> None:
    """Let the signals do what they usually do."""
    for number in REQUEST.signals:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, REQUEST.signals)


def after_fork() -> None:
    """A forked child can be stopped as usual, though this process has blocked the signals."""
    if REQUEST.is_watched:
        REQUEST.is_watched = False
        give_back()


os.register_at_fork(after_in_child=after_fork)


def is_terminal(number: int) -> bool:
    """Whether a file descriptor is open, and a terminal."""
    try:
        return os.isatty(number)
    except OSError:
        return False


def silence(terminals: list[int]) -> None:
    """Let what goes to a terminal that was closed go nowhere: to write there would be an error."""
    for number in terminals:
        if not is_terminal(number):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, number)
            os.close(null)
