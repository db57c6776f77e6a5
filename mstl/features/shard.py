"""Shards: the safetensors files of the feature cache, with a checksum of each row.

A shard is written once and never changed. It has one tensor, ``features``, with a row for each key. The metadata hold
its index as JSON, ``name`` and ``crc32`` (a checksum under each key, in the order of the rows), and that text's own
checksum.

Rows are read by ordinary reads and not through ``safe_open``, which maps the file into memory: where another program
truncates a mapped file, or another machine removes it from a network folder, SIGBUS ends the process; a read raises.
"""

import json
import math
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

FloatArray: TypeAlias = NDArray[np.floating[Any]]

DTYPES: dict[str, np.dtype[np.floating[Any]]] = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2")}
LENGTH_BYTES = 8  # a safetensors file begins with the length of its header


class DamagedShardError(Exception):
    """A shard is not as it was written."""


class Shard(NamedTuple):
    """What the header of a shard says.

    Attributes:
        name: What these are features of.
        start: Offset of the first row.
        dtype: Of all rows.
        shape: Of a row.
        rows: By key, the row's number and checksum.
    """

    name: str
    start: int
    dtype: np.dtype[np.floating[Any]]
    shape: tuple[int, ...]
    rows: dict[str, tuple[int, int]]

    @property
    def row_bytes(self) -> int:
        """Size of a row."""
        return math.prod(self.shape) * self.dtype.itemsize


def encode_shard(name: str, rows: Mapping[str, FloatArray]) -> bytes:
    """The bytes of a shard with these rows.

    Raises:
        ValueError: They differ in shape, or are not all float32 or all float16.
    """
    features = np.ascontiguousarray(np.stack(list(rows.values())))
    if {row.dtype for row in rows.values()} != {features.dtype} or features.dtype not in DTYPES.values():
        raise ValueError("all features must have the same dtype, float32 or float16")
    index = json.dumps({"name": name, "crc32": {key: zlib.crc32(features[at].data) for at, key in enumerate(rows)}})
    return save({"features": features}, {"index": index, "crc32": str(zlib.crc32(index.encode()))})


def read_header(path: Path) -> Shard:
    """What a shard says of itself, if it is as long as it says.

    Raises:
        OSError: It cannot be read.
        DamagedShardError: It is damaged, cut off or of another program.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        start = LENGTH_BYTES + int.from_bytes(file.read(LENGTH_BYTES), "little")
        text = file.read(start - LENGTH_BYTES) if start <= size else b""
    try:
        header = json.loads(text)
        metadata, tensor = header["__metadata__"], header["features"]
        if zlib.crc32(metadata["index"].encode()) != int(metadata["crc32"]):
            raise ValueError("wrong checksum of the index")
        index = json.loads(metadata["index"])
        rows = {key: (number, checksum) for number, (key, checksum) in enumerate(index["crc32"].items())}
        count, *shape = tensor["shape"]
        shard = Shard(index["name"], start, DTYPES[tensor["dtype"]], tuple(shape), rows)
        length = count * shard.row_bytes
        if count != len(rows) or tensor["data_offsets"] != [0, length] or start + length != size:
            raise ValueError("not as long as it says")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedShardError("its header is damaged, or it is cut off") from error
    return shard


def read_rows(path: Path, shard: Shard, keys: Iterable[str]) -> Iterator[tuple[str, FloatArray]]:
    """Pairs of a key and its row, in the order of the file.

    Raises:
        OSError: The file cannot be read.
        DamagedShardError: It is damaged or cut off; the rows before that were right.
    """
    with open(path, "rb") as file:
        for (number, checksum), key in sorted((shard.rows[key], key) for key in keys):
            row = np.empty(shard.shape, shard.dtype)
            file.seek(shard.start + number * shard.row_bytes)
            if file.readinto(row.data) != row.nbytes or zlib.crc32(row.data) != checksum:
                raise DamagedShardError(f"wrong checksum of row {number}")
            yield key, row
