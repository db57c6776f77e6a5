"""Spaces: the folders that kept features are in, what they hold and how to be rid of it."""

import contextlib
import json
import logging
import os
import re
from dataclasses import dataclass
from pathlib import Path

from mstl.errors import MstlError
from mstl.features.packs import DAMAGED, read_header
from mstl.runtime.environment import home

logger = logging.getLogger("mstl")

SUFFIX = ".pack"
DESCRIPTION = "space.json"


@dataclass(frozen=True)
class StoredFile:
    """A pack on disk, or one that is being written: its path, its bytes, and when it was last used (ns since 1970)."""

    path: Path
    size: int
    last_used: int

    @property
    def unfinished(self):
        """Whether it still has the hidden name that :func:`mstl.files.atomic_path` gives."""
        return self.path.name.startswith(".")


@dataclass(frozen=True)
class Space:
    """What is kept of one space.

    Attributes:
        name: The folder's.
        description: What ``space.json`` says; empty if it cannot be read.
        packs: Files.
        rows: Different keys.
        bytes: Of all files.
        last_used: Seconds since 1970; None without any file.
    """

    name: str
    description: dict
    packs: int
    rows: int
    bytes: int
    last_used: float | None


def list_spaces():
    """All spaces on disk as :class:`Space`, the one used last first."""
    spaces = []
    for folder in space_folders():
        files = files_of(folder)
        packs = [file for file in files if not file.unfinished]
        keys = {key for file in packs for key in keys_of(file.path)}
        last_used = max((file.last_used for file in files), default=None)
        spaces.append(
            Space(
                name=folder.name,
                description=read_description(folder),
                packs=len(packs),
                rows=len(keys),
                bytes=sum(file.size for file in files),
                last_used=None if last_used is None else last_used / 1e9,
            )
        )
    return sorted(spaces, key=lambda space: (-(space.last_used or 0), space.name))


def clear(names=None):
    """Remove spaces.

    Args:
        names: Folders' names, or beginnings of them that no other begins with; all if None.

    Returns:
        Bytes freed.

    Raises:
        MstlError: No space of such a name, or several; a file cannot be removed.
    """
    folders = space_folders()
    if names is not None:
        folders = list(dict.fromkeys(folder_named(name, folders) for name in names))
    freed = 0
    for folder in folders:
        for file in files_of(folder):
            try:
                file.path.unlink()
            except FileNotFoundError:  # evicted a moment ago
                continue
            except OSError as error:
                raise MstlError(f"cannot remove {file.path}: {error.strerror}; remove it by hand") from error
            freed += file.size
        remove_if_empty(folder)
    return freed


def folder_named(name, folders):
    """The one of the folders whose name begins so."""
    found = [folder for folder in folders if name and folder.name.startswith(name)]
    if not found:
        raise MstlError(f"nothing is kept under the name {name!r}: `mstl cache list` shows the names")
    if len(found) > 1:
        raise MstlError(f"{name!r} may mean {' or '.join(folder.name for folder in found)}: give more of the name")
    return found[0]


def features_folder():
    """Where all spaces are."""
    return home() / "features"


def space_folders():
    """The folders of all spaces, by name."""
    try:
        return sorted(path for path in features_folder().iterdir() if re.fullmatch("[0-9a-f]{32}", path.name))
    except OSError:  # there is none yet
        return []


def files_of(folder):
    """The packs of a space as :class:`StoredFile`, those too that are being written."""
    files = []
    try:
        for path in folder.iterdir():
            if path.suffix == SUFFIX:
                with contextlib.suppress(FileNotFoundError):  # evicted a moment ago
                    status = path.stat()
                    files.append(StoredFile(path, status.st_size, status.st_mtime_ns))
    except OSError:  # no such space: nothing is kept
        return []
    return files


def all_files():
    """The packs of all spaces."""
    return [file for folder in space_folders() for file in files_of(folder)]


def keys_of(path):
    """The keys in a pack; none if it cannot be read."""
    try:
        return read_header(path).keys
    except (OSError, *DAMAGED):
        return []


def read_description(folder):
    """What ``space.json`` says; an empty dict if it is not there, or damaged."""
    try:
        values = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def touch(path):
    """Note that a pack is in use, where its folder can be written."""
    try:
        os.utime(path)
    except OSError as error:
        logger.debug("cannot touch %s: %s", path, error)


def remove(path):
    """Remove a pack; whether it is gone."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        logger.debug("cannot remove %s: %s", path, error)
        return False
    return True


def remove_if_empty(folder):
    """Remove the folder of a space that holds no packs."""
    if files_of(folder):
        return
    with contextlib.suppress(OSError):  # it cannot be removed, or another run has begun to write into it
        for path in folder.glob("*.json"):
            path.unlink()
        folder.rmdir()
