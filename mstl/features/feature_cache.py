"""Features of frozen nets, kept on disk so that a later run need not compute them again.

A space is a folder for features of one kind: of the same weights, transforms, stage and versions. Its name is the
digest of the values that say so, which ``space.json`` in it shows; features of any other kind have another folder.
A space holds packs (:mod:`mstl.features.packs`), written under random names, so that runs at the same time do not
disturb each other; any run may remove one at any time.
"""

import hashlib
import json
import logging
import secrets
import threading
import time

from mstl.features.cache_folders import (
    DESCRIPTION,
    SUFFIX,
    all_files,
    features_folder,
    files_of,
    remove,
    remove_if_empty,
    touch,
)
from mstl.features.cache_size import show_size, size_limit
from mstl.features.packs import DAMAGED, encode, read_header, read_row
from mstl.files import atomic_path, write_json

logger = logging.getLogger("mstl")

ABANDONED = 24 * 3600 * 10**9  # ns after which an unfinished file belongs to no run any more


class FeatureCache:
    """The features of one space on disk. It may lose some at any time; those that it gives are those that were put in.

    Nothing that is wrong with the disk stops a run: what cannot be read is missing, what cannot be written is not kept,
    and a warning says so. Threads may share a store.

    Args:
        space: Plain values for JSON: all that the features depend on, but for the photo and its view.
        limit: Bytes that the packs of all spaces may take together; :func:`size_limit` if not given. At 0 nothing is
            read or written.

    Raises:
        MstlError: ``MSTL_CACHE_SIZE`` is no size.
    """

    def __init__(self, space, limit=None):
        self.space = space
        self.limit = size_limit() if limit is None else limit
        self.digest = hashlib.sha256(canonical(space).encode()).hexdigest()
        self.folder = features_folder() / self.digest[:32]
        self.packs = {}  # by file name, those that can be used
        self.places = {}  # by key, a list of (file name, row)
        self.seen = set()  # file names, whether they can be used or not
        self.used = set()  # paths that this store does not evict: it has written or read them
        self.full = self.failed = False  # once said, not said again
        self.lock = threading.Lock()  # of what get keeps in mind

    def get(self, keys):
        """The features that are there.

        Args:
            keys: Strings.

        Returns:
            A dict from key to an array as it was kept: float32, or float16 for some with more than one dimension. A key
            whose features are not there, or are damaged, is not in it.
        """
        if not self.limit:
            return {}
        keys = list(dict.fromkeys(keys))
        found = {}
        with self.lock:
            if any(self._place(key) is None for key in keys):
                self._look()
            while wanted := self._by_pack(key for key in keys if key not in found):
                for name, rows in wanted.items():  # each gives all of its rows, or is not asked again
                    found.update(self._read(name, rows))
        return {key: found[key] for key in keys if key in found}

    def put(self, items):
        """Keep features, as one pack: some tens of MB at a time make few files, and lose little where a run is stopped.

        Rows of one dimension are kept as they are. Larger ones, which are maps of activations, become float16, unless
        one of them would overflow or lose too much. Nothing is replaced: under a key, put only what is the same each
        time.

        Args:
            items: A dict from key to a float32 or float16 array, all of the same shape.

        Raises:
            ValueError: Other dtypes, or several shapes.
        """
        if not items or not self.limit or self.failed:
            return
        parts = encode(self.digest, items)
        size = sum(len(part) for part in parts)
        own = sum(file.size for file in all_files() if file.path in self.used)
        if own + size > self.limit:
            if not self.full:
                logger.info(
                    "not all features are kept: %s more would exceed the limit of %s (MSTL_CACHE_SIZE)",
                    show_size(size),
                    show_size(self.limit),
                )
            self.full = True
            return
        path = self.folder / f"{secrets.token_hex(16)}{SUFFIX}"
        self.used.add(path)
        try:
            self._write(path, parts)
        except OSError as error:
            self.failed = True
            logger.warning("the features are not kept: cannot write into %s: %s", self.folder, error.strerror or error)
            remove_if_empty(self.folder)
            return
        self._evict()

    def _place(self, key):
        """Where a key's features are: (file name, row); None if they are in no pack that can be used."""
        return next((place for place in self.places.get(key, ()) if place[0] in self.packs), None)

    def _by_pack(self, keys):
        """A dict from file name to the (row, key) that are wanted of it."""
        wanted = {}
        for key in keys:
            if place := self._place(key):
                wanted.setdefault(place[0], []).append((place[1], key))
        return wanted

    def _look(self):
        """Read the headers of packs that are new."""
        for file in files_of(self.folder):
            name = file.path.name
            if file.unfinished or name in self.seen:
                continue
            self.seen.add(name)
            try:
                pack = read_header(file.path)
                if pack.space != self.digest:
                    raise ValueError("of another space")
            except FileNotFoundError:  # evicted a moment ago
                continue
            except (OSError, *DAMAGED) as error:
                self._discard(name, error)
                continue
            self.packs[name] = pack
            for row, key in enumerate(pack.keys):
                self.places.setdefault(key, []).append((name, row))

    def _read(self, name, rows):
        """Some rows of a pack, as a dict by key. If any of them cannot be had, the pack is given up."""
        path, pack, found = self.folder / name, self.packs[name], {}
        try:
            with open(path, "rb") as file:
                for row, key in sorted(rows):
                    found[key] = read_row(file, pack, row)
        except FileNotFoundError:  # evicted by another run
            del self.packs[name]
        except (OSError, ValueError) as error:
            self._discard(name, error)
        if found and path not in self.used:
            self.used.add(path)
            touch(path)
        return found

    def _discard(self, name, error):
        """Give up a pack that cannot be read, and remove it where that is for good."""
        self.packs.pop(name, None)
        path = self.folder / name
        if isinstance(error, OSError):
            reason = error.strerror or error
            logger.warning("kept features cannot be read, and are computed again: %s: %s", path, reason)
            return
        logger.warning("kept features are damaged, and are computed again: %s: %s", path, error)
        remove(path)
        remove_if_empty(self.folder)

    def _write(self, path, parts):
        """Write a pack, and the space's description where there is none."""
        for attempt in ("first", "last"):
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                with atomic_path(path) as temporary, open(temporary, "wb") as file:
                    file.writelines(parts)
                if not (self.folder / DESCRIPTION).exists():
                    write_json(self.folder / DESCRIPTION, self.space)
                return
            except FileNotFoundError:  # another run has just removed the folder, which was empty
                if attempt == "last":
                    raise

    def _evict(self):
        """Remove the packs used least recently, until all are within the limit; never one that this store has used."""
        files = sorted(all_files(), key=lambda file: (file.last_used, file.path.name))
        total, now = sum(file.size for file in files), time.time_ns()
        for file in files:
            if file.unfinished:
                useless = file.last_used < now - ABANDONED
            else:
                useless = total > self.limit and file.path not in self.used
            if useless and remove(file.path):
                total -= file.size
                remove_if_empty(file.path.parent)


def canonical(space):
    """The one text of a space's values, whatever the order of their names."""
    return json.dumps(space, sort_keys=True, separators=(",", ":"), allow_nan=False)
