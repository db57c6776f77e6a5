"""The MindSpore thread: the one thread of a process in which MindSpore computes, whoever asks.

MindSpore is not thread-safe: two threads that use one model get wrong answers without an error, and eight abort the
process. A lock is not enough, so all that threads may ask for at once is computed by a thread of its own. And of all
threads, only the one that starts the first pipeline of a process may read from pipelines: elsewhere, an error in one,
such as an image that cannot be decoded, can end the process by a segmentation fault.
"""

import atexit
import contextlib
import ctypes
import os
import queue
import signal
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, NamedTuple, ParamSpec, TypeVar

from mstl.errors import MstlError
from mstl.runtime.interrupts import interruptible

Params = ParamSpec("Params")
Result = TypeVar("Result")
Item = TypeVar("Item")

EXIT_PATIENCE = 10.0  # seconds that the interpreter waits at its end for a job that runs
END: Any = object()  # of a generator


class Job(NamedTuple):
    """What is to be computed, and where its result goes."""

    future: "Future[Any]"
    function: Callable[[], Any]


class MindSporeThread:
    """A daemon thread that works through a queue of jobs; it starts with the first one.

    While a thread holds it (:meth:`held`), that thread computes by itself, except for what it reads from pipelines, and
    the jobs of all others wait.
    """

    def __init__(self) -> None:
        self.jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self.holders_jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()  # None ends the holding
        self.starting = threading.Lock()
        self.thread: threading.Thread | None = None
        self.holder: int | None = None  # the identifier of the thread that holds it
        self.lost = False  # this process was forked from one in which MindSpore had computed
        self.ended = False  # the interpreter is about to

    def run(self, function: Callable[Params, Result], *args: Params.args, **kwargs: Params.kwargs) -> Result:
        """Call a function in the MindSpore thread, and wait for it; there and in the holder it is called at once.

        Returns:
            What the function returns.

        Raises:
            MstlError: This process was forked after MindSpore had computed.
            Exception: What the function raises.
        """
        if self.is_mine():
            return function(*args, **kwargs)
        return self.wait_for(lambda: function(*args, **kwargs))

    def iterate(
        self, function: Callable[Params, Generator[Item, None, None]], *args: Params.args, **kwargs: Params.kwargs
    ) -> Iterator[Item]:
        """Iterate over a generator that computes in the MindSpore thread, or in the holder.

        Each item is a job of its own: whoever takes them slowly keeps nobody waiting.
        """
        if self.is_mine():
            yield from function(*args, **kwargs)
        else:
            yield from self.read(function, *args, **kwargs)

    def read(
        self, function: Callable[Params, Generator[Item, None, None]], *args: Params.args, **kwargs: Params.kwargs
    ) -> Iterator[Item]:
        """Iterate over a generator that reads from a pipeline: in the MindSpore thread, for the holder, too."""
        generator = function(*args, **kwargs)
        if self.is_here():
            yield from generator
            return
        try:
            while (item := self.wait_for(lambda: next(generator, END))) is not END:
                yield item
        finally:
            self.close(generator)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """In this block, MindSpore is for the calling thread alone; the jobs of others wait for its end.

        Raises:
            MstlError: This process was forked after MindSpore had computed.
        """
        if self.is_mine():
            yield
            return
        here, granted, jobs = threading.get_ident(), threading.Event(), queue.SimpleQueue[Job | None]()

        def hold() -> None:
            granted.set()
            while (job := jobs.get()) is not None:
                work(job)

        try:
            self.submit(hold)
            granted.wait()
            self.holder, self.holders_jobs = here, jobs
            yield
        finally:
            if self.holder == here:
                self.holder = None
            jobs.put(None)

    def is_mine(self) -> bool:
        """Whether the calling thread is the MindSpore thread, or holds it.

        Raises:
            MstlError: This process was forked after MindSpore had computed.
        """
        return self.holder == threading.get_ident() or self.is_here()

    def is_here(self) -> bool:
        """Whether the calling thread is the MindSpore thread.

        Raises:
            MstlError: This process was forked after MindSpore had computed.
        """
        if self.lost:
            raise MstlError(
                "MindSpore cannot compute in a process that was forked from one in which it had computed: start "
                'processes by multiprocessing\'s "spawn", or fork them first and make a Predictor in each'
            )
        return self.thread is not None and self.thread.ident == threading.get_ident()

    def wait_for(self, function: Callable[[], Result]) -> Result:
        """What a function returns in the MindSpore thread."""
        future = self.submit(function)
        try:
            with interruptible():
                result: Result = future.result()
            return result
        finally:
            future.cancel()  # after Ctrl-C nobody waits for it any more
            del future  # else it and its exception, whose traceback holds this frame, would keep each other alive

    def submit(self, function: Callable[[], Any]) -> "Future[Any]":
        """Queue a job."""
        if self.thread is None:
            with self.starting:
                if self.thread is None:
                    thread = threading.Thread(target=self.work_on, name="mstl-mindspore", daemon=True)
                    thread.start()
                    atexit.register(self.finish)  # runs before what MindSpore has registered: that is loaded by now
                    self.thread = thread
        future: Future[Any] = Future()
        jobs = self.holders_jobs if self.holder == threading.get_ident() else self.jobs
        jobs.put(Job(future, function))
        return future

    def close(self, generator: Generator[Any, None, None]) -> None:
        """Close a generator in the MindSpore thread, without waiting for it.

        No lock is taken, as this may happen while garbage is collected.
        """
        if not self.lost and not self.ended and self.thread is not None:
            self.submit(generator.close)

    def work_on(self) -> None:
        """Work through the queue, for ever."""
        while True:
            work(self.jobs.get())

    def finish(self) -> None:
        """At the interpreter's end, before MindSpore's: wait for the job that runs, and drop the others."""
        self.ended = True
        if self.lost or self.holder is not None:
            return
        with contextlib.suppress(queue.Empty):
            while True:
                self.jobs.get_nowait()
        with contextlib.suppress(TimeoutError, FutureTimeoutError, KeyboardInterrupt):
            self.submit(bool).result(EXIT_PATIENCE)

    def after_fork(self) -> None:
        """In a forked process there is no such thread, and its locks may be locked for ever.

        What belongs to MindSpore is kept: to free it would wait for threads that are not there.
        """
        self.lost = self.lost or self.thread is not None
        self.starting = threading.Lock()
        self.holder = None


def work(job: Job) -> None:
    """Do a job."""
    future, function = job
    if not future.set_running_or_notify_cancel():
        return
    handler = get_handler(signal.SIGINT)
    try:
        result = function()
    except BaseException as error:
        set_handler(signal.SIGINT, handler)
        future.set_exception(error)
    else:
        set_handler(signal.SIGINT, handler)
        future.set_result(result)


# MindSpore's pipelines install a handler for Ctrl-C that ends the process. Python's signal.signal() could install the
# old one again in the main thread only; these two functions, by which it does so, work in any thread.
get_handler = ctypes.pythonapi.PyOS_getsig
get_handler.argtypes, get_handler.restype = [ctypes.c_int], ctypes.c_void_p
set_handler = ctypes.pythonapi.PyOS_setsig
set_handler.argtypes, set_handler.restype = [ctypes.c_int, ctypes.c_void_p], ctypes.c_void_p

THREAD = MindSporeThread()
run, iterate, read, held = THREAD.run, THREAD.iterate, THREAD.read, THREAD.held
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=THREAD.after_fork)
