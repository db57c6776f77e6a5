"""The feature cache: what a frozen backbone makes of each image, on disk for later runs.

Features of one kind (of the same weights, transforms, stage and versions) share a folder, whose name is the digest of
the values in its ``description.json``. It holds shards (:mod:`mstl.features.shard`) under random names, so that
concurrent runs do not disturb each other. No lock is needed: any run may remove any shard at any time, and another run
then computes those features again.
"""

import hashlib
import json
import logging
import os
import secrets
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from mstl.features.cache_folders import (
    DESCRIPTION,
    SUFFIX,
    cache_folders,
    evict,
    features_folder,
    files_of,
    is_unfinished,
    remove_if_empty,
)
from mstl.features.cache_size import show_size, size_limit
from mstl.features.shard import DamagedShardError, FloatArray, Shard, encode_shard, read_header, read_rows
from mstl.files import atomic_path, write_json

logger = logging.getLogger("mstl")


class FeatureCache:
    """Features of one kind on disk. Any may be lost at any time; those that it returns are those that were put in.

    Nothing that is wrong with the disk stops a run: what cannot be read is missing, what cannot be written is not
    cached, and a warning says so. Threads may share a cache.

    Args:
        description: Plain values for JSON: all that the features depend on, except the image and its view.
        limit: Bytes that the shards of all kinds may take together; None for :func:`size_limit`. At 0 nothing is read
            or written.

    Raises:
        MstlError: ``MSTL_CACHE_SIZE`` is not a size.
    """

    def __init__(self, description: Mapping[str, object], limit: int | None = None) -> None:
        self.description = description
        self.limit = size_limit() if limit is None else limit
        text = json.dumps(description, sort_keys=True, separators=(",", ":"), allow_nan=False)
        self.name = hashlib.sha256(text.encode()).hexdigest()[:32]
        self.folder = features_folder() / self.name
        self.shards: dict[Path, Shard] = {}  # those that can be read
        self.seen: set[Path] = set()  # whether they can be read or not
        self.in_use: set[Path] = set()  # read or written here, so never evicted from here
        self.full = self.failed = False  # once said, not said again
        self.lock = threading.Lock()  # of shards and seen

    def get(self, keys: Iterable[str]) -> dict[str, FloatArray]:
        """The rows that are cached, by key, in the order asked for; what is missing or damaged is left out."""
        if not self.limit:
            return {}
        keys = dict.fromkeys(keys)
        with self.lock:
            found = self._read(keys)
            if len(found) < len(keys):
                self._find_shards()
                found |= self._read(keys.keys() - found.keys())
        return {key: found[key] for key in keys if key in found}

    def count(self, keys: Iterable[str]) -> int:
        """How many of the keys have a row here, by the shards' indices: none is read."""
        if not self.limit:
            return 0
        with self.lock:
            self._find_shards()
            known = {key for shard in self.shards.values() for key in shard.rows}
        return sum(key in known for key in keys)

    def put(self, rows: Mapping[str, FloatArray]) -> None:
        """Cache rows as one shard: some tens of MB at a time make few files, and lose little in a stopped run.

        Args:
            rows: By key, alike in shape and dtype. Nothing is replaced: a key stands for the same features each time.

        Raises:
            ValueError: Rows differ in shape, or are not all float32 or all float16.
        """
        if not rows or not self.limit or self.failed:
            return
        content = encode_shard(self.name, rows)
        own = sum(status.st_size for path, status in files_of(*cache_folders()).items() if path in self.in_use)
        if own + len(content) > self.limit:
            if not self.full:
                more, limit = show_size(len(content)), show_size(self.limit)
                logger.info("not all features are cached: %s more would exceed MSTL_CACHE_SIZE (%s)", more, limit)
            self.full = True
            return
        path = self.folder / f"{secrets.token_hex(16)}{SUFFIX}"
        self.in_use.add(path)
        try:
            self._write(path, content)
        except OSError as error:
            self.failed = True
            logger.warning("features are not cached: cannot write into %s: %s", self.folder, error.strerror or error)
            remove_if_empty(self.folder)
            return
        evict(self.limit, self.in_use)

    def _find_shards(self) -> None:
        """Read the index of each new shard."""
        for path in files_of(self.folder):
            if is_unfinished(path) or path.suffix != SUFFIX or path in self.seen:
                continue
            self.seen.add(path)
            try:
                self.shards[path] = read_header(path)
                if self.shards[path].name != self.name:
                    raise DamagedShardError("of other features")
            except (OSError, DamagedShardError) as error:
                self._give_up(path, error)

    def _read(self, keys: Iterable[str]) -> dict[str, FloatArray]:
        """The rows under these keys, each from any shard that has it."""
        found: dict[str, FloatArray] = {}
        missing = set(keys)
        for path, shard in list(self.shards.items()):
            if here := missing & shard.rows.keys():
                self.in_use.add(path)
                with suppress(OSError):  # in a folder that cannot be written
                    os.utime(path)  # the time that eviction goes by
                try:
                    found.update(read_rows(path, shard, here))
                except (OSError, DamagedShardError) as error:
                    self._give_up(path, error)
                missing -= found.keys()
        return found

    def _give_up(self, path: Path, error: OSError | DamagedShardError) -> None:
        """Do without a shard; remove it if it is damaged."""
        self.shards.pop(path, None)
        if isinstance(error, FileNotFoundError):  # evicted by another run
            return
        if isinstance(error, OSError):
            reason = error.strerror or error
            logger.warning("cached features cannot be read and are computed again: %s: %s", path, reason)
            return
        logger.warning("cached features are damaged and are computed again: %s: %s", path, error)
        with suppress(OSError):  # in a folder that cannot be written
            path.unlink(missing_ok=True)
            remove_if_empty(self.folder)

    def _write(self, path: Path, content: bytes) -> None:
        """Write a shard, and the folder's description where there is none."""
        for attempts_left in reversed(range(5)):
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                with atomic_path(path) as temporary:
                    temporary.write_bytes(content)
                if not (self.folder / DESCRIPTION).exists():
                    write_json(self.folder / DESCRIPTION, self.description)
                return
            except FileNotFoundError:  # another run has just removed the folder, which was empty
                if not attempts_left:
                    raise
