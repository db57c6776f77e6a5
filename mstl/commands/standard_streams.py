"""Standard streams: a command may be started without some of them, and whoever reads its output may be gone."""

import io
import os
import sys
from typing import Any, TextIO

NAMES = ("stdin", "stdout", "stderr")


class Pipe(io.FileIO):
    """A file descriptor whose reader may be gone, such as ``head``: what is written then goes nowhere.

    Attributes:
        is_broken: Whether the reader is gone.
    """

    is_broken = False

    def write(self, data: bytes | bytearray | memoryview, /) -> int | None:  # type: ignore[override]  # any buffer
        """Write bytes."""
        try:
            return super().write(data)
        except BrokenPipeError:
            self.is_broken = True
            discard(self.fileno())
            return len(data)


def prepare() -> None:
    """Make the standard streams usable, however the process was started.

    A descriptor that is closed is opened, or else the next file that is opened would get its number, and with it what
    is meant for the stream: also what libraries write.
    """
    for descriptor, name in enumerate(NAMES):
        try:
            os.fstat(descriptor)
        except OSError:
            discard(descriptor)
        stream = getattr(sys, name)
        if stream is None:  # what Python makes of a closed one
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(descriptor, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 (for good)
        elif name != "stdin" and type(stream) is io.TextIOWrapper and type(raw_of(stream)) is io.FileIO:
            setattr(sys, name, tolerant(stream))


def tolerant(stream: io.TextIOWrapper) -> TextIO:
    """The same stream, through a :class:`Pipe`."""
    stream.flush()
    pipe: Any = Pipe(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(
        pipe
        if stream.buffer is raw_of(stream)  # python -u
        else io.BufferedWriter(pipe),
        stream.encoding,
        stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def is_read() -> bool:
    """Whether somebody still reads what is printed."""
    raw = raw_of(sys.stdout)
    return not (isinstance(raw, Pipe) and raw.is_broken)


def raw_of(stream: TextIO) -> object:
    """What a text stream writes its bytes to in the end; None if that is not known."""
    buffer = getattr(stream, "buffer", None)
    return getattr(buffer, "raw", buffer)


def finish() -> None:
    """Write what is still buffered, which Python would do at its end, where an error is a page of its own.

    Raises:
        OSError: It cannot be written.
    """
    try:
        sys.stdout.flush()
    except OSError:
        discard(sys.stdout.fileno())  # what is left goes nowhere
        raise


def discard(descriptor: int) -> None:
    """Let a file descriptor stand for nothing: nothing comes from it, and what is written to it goes nowhere."""
    null = os.open(os.devnull, os.O_RDWR)
    if null != descriptor:
        os.dup2(null, descriptor)
        os.close(null)
    else:
        os.set_inheritable(null, True)
