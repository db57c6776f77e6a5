"""Files that are either whole or not there."""

import contextlib
import hashlib
import json
import os
import tempfile
from pathlib import Path

from mstl.errors import MstlError


@contextlib.contextmanager
def atomic_path(path):
    """Give a temporary path beside ``path``; move it there when the block ends well, remove it when it does not.

    The temporary name keeps the suffix, is flushed to the disk before the move, and gets the permissions that an
    ordinary new file would have.
    """
    path = Path(path)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path, text):
    """Write a UTF-8 text file atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path, values):
    """Write plain values as indented JSON, atomically."""
    write_text(path, json.dumps(values, indent=2, ensure_ascii=False) + "\n")


def make_folder(path):
    """Make a folder that can be written into, with its parents.

    Raises:
        MstlError: It cannot be made or written into.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return path
    except OSError as error:
        raise MstlError(f"cannot write into the folder {path}: {error.strerror or error}; choose another") from error


def digest(path):
    """The sha256 of a file, as hexadecimal digits."""
    total = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            total.update(block)
    return total.hexdigest()


def flush(path):
    """Bring a file's bytes to the disk, so that a power cut after its renaming leaves no empty one."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
