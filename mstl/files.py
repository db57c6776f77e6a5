"""Files and folders: atomic writing, locks between processes, digests."""

import contextlib
import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from mstl.errors import MstlError

logger = logging.getLogger("mstl")
BLOCK = 1 << 20  # bytes that are read at a time


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it to ``path`` if the block succeeds, delete it otherwise.

    The temporary name keeps the suffix. The file is flushed to disk before it is renamed, and gets the permissions of
    an ordinary new file.
    """
    path = Path(path)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        umask = os.umask(0)  # reading it means setting it
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        flush(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a UTF-8 text file atomically, what is not Unicode as :func:`encodable` has it."""
    with atomic_path(path) as temporary:
        temporary.write_text(encodable(text), encoding="utf-8")


def encodable(text: str) -> str:
    """A text in which all that is not Unicode is escaped.

    The bytes of a file name that are not UTF-8 are surrogates in Python, which cannot be encoded. Each becomes an
    escape such as ``\\udce9``, which in JSON stands for that surrogate: what was written is read again.
    """
    return text.encode("utf-8", "backslashreplace").decode()


def write_json(path: str | os.PathLike[str], values: Any) -> None:
    """Write plain values as indented JSON, atomically."""
    write_text(path, json.dumps(values, indent=2, ensure_ascii=False) + "\n")


def make_folder(path: str | os.PathLike[str]) -> Path:
    """Create a folder, with its parents, unless it exists, and check that it is writable.

    Raises:
        MstlError: It cannot be created or written to.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return path
    except OSError as error:
        raise MstlError(f"cannot write into the folder {path}: {error.strerror or error}; choose another") from error


def digest(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file, in hexadecimal."""
    total = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(BLOCK):
            total.update(block)
    return total.hexdigest()


def flush(path: str | os.PathLike[str]) -> None:
    """Flush a file to disk: if it is renamed afterwards, a power cut leaves no empty file under the new name."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def hidden(path: Path, suffix: str) -> Path:
    """A hidden name beside ``path``, which no search for the suffix of ``path`` finds."""
    return path.with_name(f".{path.name.removeprefix('.')}{suffix}")


@contextlib.contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold a lock file beside ``path`` during the block, so that no other process creates ``path`` meanwhile.

    Raises:
        MstlError: The file system cannot lock files.
    """
    name = hidden(path, ".lock")
    # A soft lock, filelock's substitute where the file system has none, would outlive a process that is killed.
    file_lock = FileLock(name, fallback_to_soft=False)
    try:
        try:
            file_lock.acquire(blocking=False)
        except Timeout:
            logger.info("another process is getting %s: waiting for it", path.name)
            file_lock.acquire()
    except OSError as error:
        raise MstlError(
            f"cannot lock {name}: {error.strerror or error}; set MSTL_HOME to a folder on another disk"
        ) from error
    try:
        yield
    finally:
        file_lock.release()
