"""Training process: a run trained again in a process of its own, whose first thread all of MindSpore's work is in."""

import contextlib
import logging
import multiprocessing
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from mstl.errors import MstlError
from mstl.review.review_data import ReviewSource
from mstl.runtime import garbage, stopping

logger = logging.getLogger("mstl")
Said = Callable[[str], None]
PATIENCE = 10.0  # seconds in which a process that is asked to stop does so


class TrainingProcess:
    """Trains a run again; called once for each time, and stopped from another thread.

    Args:
        checkpoint, source, device: As :func:`mstl.report.trained_again.train_again` takes them.
    """

    def __init__(self, checkpoint: Path, source: ReviewSource, device: str) -> None:
        self.arguments = (checkpoint, source, device)
        self.process: multiprocessing.process.BaseProcess | None = None

    def __call__(self, said: Said) -> dict[str, Any]:
        """Train, and wait for it.

        Args:
            said: Called with each line of the log.

        Returns:
            The comparison, as :meth:`mstl.report.before_after.BeforeAfter.to_dict` gives it.

        Raises:
            MstlError: It cannot be done, or was stopped.
        """
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe(duplex=False)
        self.process = context.Process(target=work, args=(theirs, *self.arguments), daemon=True)
        self.process.start()
        theirs.close()
        try:
            while True:
                kind, told = ours.recv()
                if kind == "line":
                    said(told)
                elif kind == "done":
                    result: dict[str, Any] = told
                    return result
                else:
                    raise MstlError(told)
        except EOFError as error:
            raise MstlError(
                "the process that trained was killed, or broke down: `mstl review RUN --train-again` shows why"
            ) from error
        finally:
            ours.close()
            self.process.join()

    def stop(self) -> None:
        """Ask it to stop, if it runs, and wait a while for that."""
        if self.process is not None and self.process.is_alive():
            self.process.terminate()
            self.process.join(PATIENCE)


class ToConnection(logging.Handler):
    """Sends the lines of a log to another process.

    Args:
        connection: Its end here.
    """

    def __init__(self, connection: "Connection[Any, Any]") -> None:
        super().__init__()
        self.connection = connection

    def emit(self, record: logging.LogRecord) -> None:
        """Send a line, if somebody is there to take it."""
        with contextlib.suppress(OSError):
            self.connection.send(("line", record.getMessage()))


def work(connection: "Connection[Any, Any]", checkpoint: Path, source: ReviewSource, device: str) -> None:
    """Train, in this process, and send what is logged and what comes of it."""
    logger.addHandler(ToConnection(connection))
    logger.setLevel(logging.INFO)
    logger.propagate = False
    garbage.not_collected_at_exit()
    stopping.watch()
    try:
        with contextlib.redirect_stdout(sys.stderr):  # what the server prints is its address alone
            with stopping.deferred(), garbage.not_collected():
                from mstl.report.trained_again import train_again
            stopping.check()
            connection.send(("done", train_again(checkpoint, source, device).to_dict()))
    except KeyboardInterrupt as request:
        connection.send(("failed", "training again was stopped"))
        sys.exit(128 + getattr(request, "signum", signal.SIGINT))
    except MstlError as error:
        connection.send(("failed", str(error)))
    except Exception as error:
        connection.send(("failed", f"unexpected {type(error).__name__}: {error}"))
        raise
