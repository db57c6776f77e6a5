"""Features of frozen nets, kept on disk so that a later run need not compute them again.

A space is a folder for features of one kind: of the same weights, transforms, stage and versions. Its name is the
digest of the values that say so, which ``space.json`` in it shows; features of any other kind have another folder.
A space holds packs. A pack is written once, whole, under a random name, and never changed, so that runs at the same
time do not disturb each other; any run may remove one at any time. It is, all numbers little-endian:

* 8 bytes ``MSTLPACK``;
* three unsigned numbers of 4 bytes: the format's version, the header's length, and the crc32 of all before it
  and of the header;
* the header, JSON: ``space`` (the sha256 that the folder is named after), ``keys``, ``dtype`` (``"float32"`` or
  ``"float16"``), ``shape`` of a row, and ``crc32`` of each row;
* zeros, up to a multiple of 64 bytes;
* the rows, one after another.

Rows are read with ordinary reads, not through ``np.memmap``: where another program cuts a mapped file short, or another
machine removes it from a network folder, SIGBUS ends the process; a read ends in an exception.
"""

import contextlib
import hashlib
import json
import logging
import math
import os
import re
import secrets
import struct
import threading
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mstl.errors import MstlError
from mstl.files import atomic_path, write_json
from mstl.runtime import home

logger = logging.getLogger("mstl")

MAGIC, VERSION = b"MSTLPACK", 1
START = struct.Struct("<8sII")  # magic, version, length of the header
CHECK = struct.Struct("<I")
ALIGNMENT = 64  # bytes
DTYPES = {"float32": np.dtype("<f4"), "float16": np.dtype("<f2")}
SUFFIX = ".pack"
DESCRIPTION = "space.json"
DAMAGED = (ValueError, KeyError, TypeError)  # what a pack that is not as it should be makes of its reader

HALF_MAX = 65000  # just below the largest float16
HALF_LOSS = 1e-3  # of a row's largest value; float16 rounds by half of it at the most, unless all values are tiny

UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
DEFAULT_LIMIT = "4GB"
ABANDONED = 24 * 3600 * 10**9  # ns after which an unfinished file belongs to no run any more


class FeatureStore:
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


@dataclass(frozen=True)
class Pack:
    """What a pack's header says, and where its rows begin."""

    space: str
    keys: list
    dtype: np.dtype
    shape: tuple
    checks: list
    start: int

    @property
    def row_bytes(self):
        """Size of a row."""
        return math.prod(self.shape) * self.dtype.itemsize


def encode(digest, items):
    """A pack's bytes, as a list of buffers that :func:`open` can write one after another."""
    arrays = list(items.values())
    shapes, kinds = {array.shape for array in arrays}, {array.dtype.name for array in arrays}
    if len(shapes) > 1 or len(kinds) > 1 or not kinds <= DTYPES.keys():
        raise ValueError(f"features must be all float32 or all float16, of one shape: got {kinds} of {shapes}")
    dtype = kept_dtype(arrays)
    rows = [np.ascontiguousarray(array, DTYPES[dtype]).reshape(-1).view(np.uint8) for array in arrays]
    values = {
        "space": digest,
        "keys": list(items),
        "dtype": dtype,
        "shape": arrays[0].shape,
        "crc32": [zlib.crc32(row) for row in rows],
    }
    header = json.dumps(values).encode()
    start = START.pack(MAGIC, VERSION, len(header))
    padding = bytes(-(START.size + CHECK.size + len(header)) % ALIGNMENT)
    return [start, CHECK.pack(zlib.crc32(start + header)), header, padding, *rows]


def kept_dtype(arrays):
    """The name of the dtype that rows are kept in: the one that the most demanding of them needs."""
    if arrays[0].ndim > 1 and all(half_suffices(array) for array in arrays):
        return "float16"
    return arrays[0].dtype.name


def half_suffices(array):
    """Whether float16 holds an array's values, none off by more than a thousandth of the largest."""
    largest = np.abs(array).max(initial=0)
    if largest > HALF_MAX:
        return False
    return bool((np.abs(array.astype(np.float16) - array) <= HALF_LOSS * largest).all())  # NaN is not <= anything


def read_header(path):
    """Read what a pack says about itself, and check that the file is as long as it should be.

    Raises:
        OSError: It cannot be read.
        ValueError, KeyError, TypeError: It is damaged, cut off, or of another version.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        start, check = file.read(START.size), file.read(CHECK.size)
        if len(start + check) < START.size + CHECK.size:
            raise ValueError("cut off")
        magic, version, length = START.unpack(start)
        if (magic, version) != (MAGIC, VERSION):
            raise ValueError("not of this version")
        if length > size:
            raise ValueError("cut off")
        header = file.read(length)
    if CHECK.unpack(check)[0] != zlib.crc32(start + header):
        raise ValueError("wrong checksum of the header")
    values = json.loads(header)
    first = -(-(START.size + CHECK.size + length) // ALIGNMENT) * ALIGNMENT
    dtype, shape = DTYPES[values["dtype"]], tuple(values["shape"])
    pack = Pack(values["space"], values["keys"], dtype, shape, values["crc32"], first)
    if size != first + len(pack.keys) * pack.row_bytes or len(pack.checks) != len(pack.keys):
        raise ValueError("not as long as its header says")
    return pack


def read_row(file, pack, row):
    """Read and check one row of an open pack.

    Raises:
        OSError: It cannot be read.
        ValueError: It is damaged or cut off.
    """
    array = np.empty(pack.shape, pack.dtype)
    file.seek(pack.start + row * pack.row_bytes)
    if file.readinto(array) != pack.row_bytes:
        raise ValueError("cut off")
    if zlib.crc32(array) != pack.checks[row]:
        raise ValueError("wrong checksum of a row")
    return array


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


def canonical(space):
    """The one text of a space's values, whatever the order of their names."""
    return json.dumps(space, sort_keys=True, separators=(",", ":"), allow_nan=False)


def size_limit():
    """Bytes that all kept features may take together: ``MSTL_CACHE_SIZE``, or 4 GB.

    Raises:
        MstlError: It is set to something else than a size.
    """
    return parse_size(os.environ.get("MSTL_CACHE_SIZE") or DEFAULT_LIMIT)


def parse_size(text):
    """Bytes from a text such as ``"4GB"``, ``"1.5 GB"``, ``"500MB"`` or ``"0"``; a GB is 10^9 bytes.

    Raises:
        MstlError: It is no size.
    """
    match = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,15})?) ?([KMGT]?B)", text.strip().upper())
    if match:
        return round(float(match[1]) * UNITS[match[2]])
    if text.strip() == "0":
        return 0
    raise MstlError(
        f"MSTL_CACHE_SIZE is {text!r}, which is no size: give one such as 2GB or 500MB, or 0 to keep nothing on disk"
    )


def show_size(size):
    """Bytes as a text such as ``"1.23 GB"``."""
    unit = next((unit for unit, factor in UNITS.items() if size < 999.5 * factor), "TB")
    return f"{size / UNITS[unit]:.3g} {unit}"
