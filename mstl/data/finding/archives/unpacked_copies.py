"""Unpacked copies of archives: what lies in ``$MSTL_HOME``, what it came from, and how it is removed."""

import json
import logging
import os
import re
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from mstl.errors import MstlError
from mstl.files import encodable, hidden, temporary_name, write_json
from mstl.runtime.environment import home

logger = logging.getLogger("mstl")
DESCRIPTION = ".mstl-unpacked.json"  # in each copy; modified when the copy is used
UNFINISHED = re.compile(r"\.(.*-[0-9a-f]{12})-[0-9a-f]{8}", re.DOTALL)  # as atomic_folder names them


class Copy(NamedTuple):
    """An unpacked copy of an archive, or of a folder of archives.

    Attributes:
        path: Its folder.
        archive: Of what it is a copy; None if that is not known.
        files: Number of its files.
        bytes: Of all files.
        unpacked: Seconds since 1970; None if it is not known.
        last_used: The same.
        finished: False for what a process writes, or has left when it was killed.
    """

    path: Path
    archive: str | None
    files: int
    bytes: int
    unpacked: float | None
    last_used: float | None
    finished: bool


def copies_folder() -> Path:
    """Where the copies are, beside the datasets that were downloaded or drawn."""
    return home() / "data"


def describe(folder: Path, archive: Path | str) -> None:
    """Write into a copy of what it is one: a path, or a name."""
    whole = archive if isinstance(archive, str) else str(archive.resolve())
    write_json(folder / DESCRIPTION, {"archive": encodable(whole), "unpacked": time.time()})


def touch(folder: Path) -> None:
    """Remember that a copy was used now."""
    with suppress(OSError):  # in a folder that cannot be written
        os.utime(folder / DESCRIPTION)


def list_copies() -> list[Copy]:
    """All copies, the most recently used first."""
    try:
        folders = [path for path in copies_folder().iterdir() if not path.is_symlink() and path.is_dir()]
    except OSError:  # there is none yet
        return []
    copies = [copy_at(path) for path in folders if (path / DESCRIPTION).is_file() or UNFINISHED.fullmatch(path.name)]
    return sorted(copies, key=lambda copy: (-(copy.last_used or 0), copy.path.name))


def copy_at(folder: Path) -> Copy:
    """What is known of a copy."""
    sizes = []
    for where, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # removed a moment ago
                sizes.append(os.lstat(os.path.join(where, name)).st_size)
    values, last_used = {}, None
    with suppress(OSError, ValueError, RecursionError):  # unfinished, or of an earlier version
        last_used = (folder / DESCRIPTION).stat().st_mtime
        values = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    archive, unpacked = (
        (values.get(key) for key in ("archive", "unpacked")) if isinstance(values, dict) else (None, None)
    )
    return Copy(
        folder,
        archive if isinstance(archive, str) else None,
        len(sizes) - (last_used is not None),
        sum(sizes),
        unpacked if isinstance(unpacked, float) else None,
        last_used,
        not UNFINISHED.fullmatch(folder.name),
    )


def clear_copies(copies: Iterable[Copy]) -> int:
    """Remove copies, but what another process is writing stays.

    Returns:
        Bytes freed.

    Raises:
        MstlError: One cannot be removed.
    """
    from filelock import FileLock

    freed = 0
    for copy in copies:
        name = UNFINISHED.fullmatch(copy.path.name)
        lock_file = hidden(copy.path.with_name(name[1]) if name else copy.path, ".lock")
        try:
            with FileLock(lock_file, blocking=False, fallback_to_soft=False):
                remove(copy.path)
        except TimeoutError:  # filelock's Timeout: the process that holds it is unpacking
            logger.warning("%s stays: another process is unpacking it", copy.path)
            continue
        except OSError as error:
            raise MstlError(f"cannot remove {copy.path}: {error.strerror or error}; remove it by hand") from error
        freed += copy.bytes
    return freed


def remove(folder: Path) -> None:
    """Remove a folder, so that no other process meets half of it.

    Raises:
        OSError: It cannot be removed.
    """
    if not UNFINISHED.fullmatch(folder.name):
        folder = folder.rename(temporary_name(folder))
    shutil.rmtree(folder)


def remove_leftovers(folder: Path) -> None:
    """Remove what processes that were killed have left of a copy; the caller holds its lock."""
    for path in folder.parent.iterdir():
        match = UNFINISHED.fullmatch(path.name)
        if match and match[1] == folder.name:
            shutil.rmtree(path, ignore_errors=True)
