"""Packs: the files that kept features are in.

A pack is written once, whole, and never changed. It is, all numbers little-endian:

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

import json
import math
import os
import struct
import zlib
from dataclasses import dataclass

import numpy as np

MAGIC, VERSION = b"MSTLPACK", 1
START = struct.Struct("<8sII")  # magic, version, length of the header
CHECK = struct.Struct("<I")
ALIGNMENT = 64  # bytes
DTYPES = {"float32": np.dtype("<f4"), "float16": np.dtype("<f2")}
DAMAGED = (ValueError, KeyError, TypeError)  # what a pack that is not as it should be makes of its reader

HALF_MAX = 65000  # just below the largest float16
HALF_LOSS = 1e-3  # of a row's largest value; float16 rounds by half of it at the most, unless all values are tiny


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
