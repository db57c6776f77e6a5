"""Folders of the feature cache: what they hold, how they are listed, evicted from and removed."""

import json
import os
import re
import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from mstl.errors import MstlError
from mstl.features.shard import DamagedShardError, read_header
from mstl.runtime.environment import home

SUFFIX = ".safetensors"
OLD_SUFFIX = ".pack"  # of earlier versions: no longer read, but counted, evicted and cleared like the rest
DESCRIPTION = "description.json"
ABANDONED = 24 * 3600  # seconds after which an unfinished file belongs to no run any more


class CacheFolder(NamedTuple):
    """What is cached of one kind of features.

    Attributes:
        name: The folder's.
        description: What the features depend on; empty if it cannot be read.
        rows: Number of different keys.
        bytes: Of all files.
        last_used: Seconds since 1970; None without any file.
    """

    name: str
    description: dict[str, object]
    rows: int
    bytes: int
    last_used: float | None


def features_folder() -> Path:
    """Where the folders of the feature cache are."""
    return home() / "features"


def cache_folders() -> list[Path]:
    """The folders of the feature cache, by name."""
    try:
        return sorted(path for path in features_folder().iterdir() if re.fullmatch("[0-9a-f]{32}", path.name))
    except OSError:  # there is none yet
        return []


def files_of(*folders: Path) -> dict[Path, os.stat_result]:
    """The shards in folders, including those that are being written; ``st_mtime`` is when one was last used."""
    files = {}
    for folder in folders:
        with suppress(OSError):  # no such folder: nothing is cached
            for path in folder.iterdir():
                if path.suffix in (SUFFIX, OLD_SUFFIX):
                    with suppress(FileNotFoundError):  # evicted a moment ago
                        files[path] = path.stat()
    return files


def is_unfinished(path: Path) -> bool:
    """Whether a shard still has the hidden name that :func:`mstl.files.atomic_path` gives."""
    return path.name.startswith(".")


def list_folders() -> list[CacheFolder]:
    """What is cached, the most recently used first."""
    found = []
    for folder in cache_folders():
        files = files_of(folder)
        keys: set[str] = set()
        for path in files:
            with suppress(OSError, DamagedShardError):
                keys |= read_header(path).rows.keys()
        last_used = max((status.st_mtime for status in files.values()), default=None)
        size = sum(status.st_size for status in files.values())
        found.append(CacheFolder(folder.name, read_description(folder), len(keys), size, last_used))
    return sorted(found, key=lambda folder: (-(folder.last_used or 0), folder.name))


def read_description(folder: Path) -> dict[str, object]:
    """What the features in a folder depend on; an empty dict if it is missing or damaged."""
    try:
        values = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def clear(names: Iterable[str] | None = None) -> int:
    """Remove cached features.

    Args:
        names: Names of folders, or unique beginnings of them; None for all.

    Returns:
        Bytes freed.

    Raises:
        MstlError: No folder of such a name, or several; a file cannot be removed.
    """
    folders = cache_folders() if names is None else list(dict.fromkeys(map(folder_named, names)))
    freed = 0
    for path, status in files_of(*folders).items():
        try:
            path.unlink()
        except FileNotFoundError:  # evicted a moment ago
            continue
        except OSError as error:
            raise MstlError(f"cannot remove {path}: {error.strerror}; remove it by hand") from error
        freed += status.st_size
    for folder in folders:
        remove_if_empty(folder)
    return freed


def folder_named(name: str) -> Path:
    """The one folder of the cache whose name begins so."""
    found = [folder for folder in cache_folders() if name and folder.name.startswith(name)]
    if not found:
        raise MstlError(f"no cached features are named {name!r}: `mstl cache list` shows the names")
    if len(found) > 1:
        raise MstlError(f"{name!r} may mean {' or '.join(folder.name for folder in found)}: give more of the name")
    return found[0]


def evict(limit: int, in_use: Collection[Path]) -> None:
    """Remove the least recently used files that are not in use, until all take at most ``limit`` bytes.

    Unfinished files that a killed run has left are removed in any case.
    """
    files = files_of(*cache_folders())
    total, now = sum(status.st_size for status in files.values()), time.time()
    for path, status in sorted(files.items(), key=lambda item: (item[1].st_mtime_ns, item[0].name)):
        if is_unfinished(path):
            useless = status.st_mtime < now - ABANDONED
        else:
            useless = total > limit and path not in in_use
        if useless:
            with suppress(OSError):  # in a folder that cannot be written
                path.unlink(missing_ok=True)
                total -= status.st_size
                remove_if_empty(path.parent)


def remove_if_empty(folder: Path) -> None:
    """Remove a folder without files, and its description."""
    if not files_of(folder):
        with suppress(OSError):  # it cannot be removed, or another run has begun to write into it
            for path in folder.glob("*.json"):
                path.unlink()
            folder.rmdir()
