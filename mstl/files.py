"""Files and folders: atomic writing, locks between processes, digests."""

import contextlib
import ctypes
import hashlib
import json
import logging
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mstl.errors import MstlError

logger = logging.getLogger("mstl")
BLOCK = 1 << 20  # bytes that are read at a time


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it to ``path`` if the block succeeds, delete it otherwise.

    The temporary name is hidden and keeps the suffix. The file is flushed to disk before it is renamed, and its folder
    afterwards; it gets the permissions of an ordinary new file, even if it was replaced in the block.
    """
    path = Path(path)
    temporary = temporary_name(path)
    try:
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        mode = temporary.stat().st_mode & 0o7777
        yield temporary
        if temporary.stat().st_mode & 0o7777 != mode:
            os.chmod(temporary, mode)
        flush(temporary)
        os.replace(temporary, path)
        flush(path.parent)
    except OSError as error:
        if error.errno is not None and error.filename in (
            None,
            str(temporary),
        ):  # that of a full disk does not say which file it was about
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """The same for a new folder: an empty one at ``path`` is replaced, any other leads to an OSError."""
    path = Path(path)
    temporary = temporary_name(path)
    try:
        temporary.mkdir()
        yield temporary
        flush_all(temporary)
        os.rename(temporary, path)
        flush(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def temporary_name(path: Path) -> Path:
    """A hidden name beside ``path`` that is not taken."""
    return path.with_name(f".{path.stem[:80]}-{secrets.token_hex(4)}{path.suffix}")


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


def check_output_file(path: str | os.PathLike[str]) -> None:
    """Check, before the work is done, that its result can be written to a file; nothing is created.

    Raises:
        MstlError: It cannot.
    """
    path = Path(path)
    if path.is_dir():
        raise MstlError(f"{path} is a folder: give the name of a file")
    if path.exists() and not path.is_file():
        raise MstlError(f"{path} is not a file, but a device or the like: give the name of a file")
    check_output_folder(path.parent)


def check_output_folder(path: str | os.PathLike[str]) -> None:
    """Check, before the work is done, that its results can be written into a folder; nothing is created.

    Raises:
        MstlError: It, or its nearest parent that exists, is not a folder or cannot be written to.
    """
    path = Path(path)
    existing = next((folder for folder in (path, *path.parents) if os.path.lexists(folder)), Path())
    if existing.is_dir():
        make_folder(existing)
    else:
        raise MstlError(f"cannot write into the folder {path}: {existing} is not a folder; choose another")


def digest(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file, in hexadecimal."""
    total = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(BLOCK):
            total.update(block)
    return total.hexdigest()


def flush(path: str | os.PathLike[str]) -> None:
    """Flush a file or folder to disk.

    A power cut then leaves no empty file under a new name, or no old file under it. File systems that cannot flush
    folders do without.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except PermissionError:  # Windows opens no folders
        if os.path.isdir(path):
            return
        raise
    try:
        os.fsync(descriptor)
    except OSError:
        if not os.path.isdir(path):
            raise
    finally:
        os.close(descriptor)


def flush_all(folder: Path) -> None:
    """Flush the file system of a folder to disk at once: for thousands of files, one by one takes minutes."""
    syncfs = getattr(ctypes.CDLL(None), "syncfs", None) if os.name == "posix" else None
    if syncfs is not None:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            syncfs(descriptor)
        finally:
            os.close(descriptor)
    elif hasattr(os, "sync"):
        os.sync()


def hidden(path: Path, suffix: str) -> Path:
    """A hidden name beside ``path``, which no search for the suffix of ``path`` finds."""
    return path.with_name(f".{path.name.removeprefix('.')}{suffix}")


@contextlib.contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold a lock file beside ``path`` during the block, so that no other process creates ``path`` meanwhile.

    Raises:
        MstlError: The file system cannot lock files.
    """
    from filelock import FileLock, Timeout  # not where only an exported model answers

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
