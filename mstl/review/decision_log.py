"""DecisionLog: review.csv beside the data, to which several reviewers add their decisions."""

import contextlib
import dataclasses
import logging
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from mstl.download.failures import DISK_ERRORS
from mstl.errors import MstlError
from mstl.files import atomic_path, hidden
from mstl.review.decisions import Decision, from_text, to_text

logger = logging.getLogger("mstl")
NAME = "review.csv"
# What a process that was killed while it wrote has left: temporary files, as mstl.files.temporary_name calls them
LEFTOVER = re.compile(r"\.+review(-journal-\d+|-list)?-[0-9a-f]{8}\.(csv|json|tsv|txt)")


class DecisionLog:
    """The decisions about the images of a dataset, in the order in which they were taken.

    Nothing is kept in memory: each change reads the file again, with a lock, so that no decision of another reviewer
    is lost.

    Args:
        folder: In which the file lies; paths start there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / NAME

    def locked(self) -> contextlib.AbstractContextManager[None]:
        """Keep all others from changing the file, and the data, in a block; see :func:`locked_file`."""
        return locked_file(self.path, LEFTOVER)

    def read(self) -> list[Decision]:
        """All decisions, the oldest first; none if there is no file.

        Raises:
            MstlError: It cannot be read, or is damaged.
        """
        try:
            return from_text(self.path.read_bytes().decode("utf-8-sig"))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise MstlError(f"cannot read {self.path}: {error.strerror or error}") from error
        except ValueError as error:
            raise MstlError(f"{self.path} is damaged: {error}; correct it, or move it away") from error

    def add(self, decision: Decision) -> None:
        """Add a decision.

        Raises:
            MstlError: The file is damaged, or cannot be written; it is as it was.
        """
        with self.locked():
            self._write([*self.read(), decision])

    def take_back(self, decision: Decision) -> bool:
        """Remove a decision, so that the one before it on the same image holds again.

        Returns:
            Whether it was there; Apply may have changed its path meanwhile.

        Raises:
            MstlError: As for :meth:`add`.
        """
        with self.locked():
            decisions = self.read()
            for index in reversed(range(len(decisions))):
                if dataclasses.replace(decisions[index], path=decision.path) == decision:
                    self._write(decisions[:index] + decisions[index + 1 :])
                    return True
        return False

    def moved(self, places: Mapping[tuple[str, str], str]) -> None:
        """Write the new paths of images that were moved; the lock must be held.

        Args:
            places: The new path of each, by its old path and its sha256.

        Raises:
            MstlError: The file is damaged.
            OSError: It cannot be written.
        """
        before = self.read()
        after = [dataclasses.replace(one, path=places.get((one.path, one.sha256), one.path)) for one in before]
        if after != before:
            write(self.path, after)

    def _write(self, decisions: list[Decision]) -> None:
        try:
            write(self.path, decisions)
        except OSError as error:
            raise cannot_write(self.path, error) from error


@contextlib.contextmanager
def locked_file(path: Path, leftover: re.Pattern[str]) -> Iterator[None]:
    """Keep all others from changing a file in this block.

    Args:
        path: The file, which need not exist.
        leftover: Names of what a process that was killed while it wrote has left beside it, which is removed.

    Raises:
        MstlError: The folder cannot be written to, or its file system cannot lock files.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(hidden(path, ".lock"), fallback_to_soft=False)
    try:
        try:
            lock.acquire(blocking=False)
        except Timeout:
            logger.info("another reviewer is changing %s: waiting for it", path)
            lock.acquire()
    except OSError as error:
        raise cannot_write(path, error) from error
    try:
        for name in os.listdir(path.parent):
            if leftover.fullmatch(name):
                (path.parent / name).unlink(missing_ok=True)
        yield
    finally:
        lock.release()


def write(path: Path, decisions: list[Decision]) -> None:
    """Write the file anew, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(to_text(decisions), encoding="utf-8", newline="\n")


def cannot_write(path: Path, error: OSError) -> MstlError:
    """The error for a file beside the data that cannot be written."""
    hint = "make room on its disk" if error.errno in DISK_ERRORS else "make its folder writable"
    return MstlError(f"cannot write {path}: {error.strerror or error}; nothing was changed: {hint}")
