"""PyTorch's files, in both formats, read without PyTorch and without running what is in them."""

import errno
import io
import logging
import math
import os
import zipfile
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mstl.checkpoint import Arrays
from mstl.errors import MstlError
from mstl.models.state_dicts import find_state_dict
from mstl.models.torch_pickle import ForbiddenGlobal, LazyTensor, Storage, unpickler_of_next

logger = logging.getLogger("mstl")

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C  # the first pickle of the legacy format
PROTOCOL_VERSION = 1001
LARGEST_PICKLE = 1 << 28  # bytes; that of a ResNet-152 has 130,000
GROWTH = 8  # times the size of its file that the tensors of a sound one can need: few share their numbers
SMALL = 1 << 26  # bytes that any file's may need


class Unpickled(NamedTuple):
    """The content of a file.

    Attributes:
        root: What was pickled, with a LazyTensor for each tensor.
        skipped: The names of objects that were not made.
        read: The bytes of some storages, by key.
    """

    root: object
    skipped: Sequence[str]
    read: Callable[[Mapping[Hashable, Storage]], dict[Hashable, bytes]]


def read_zip(path: Path) -> Unpickled:
    """Read the zip format (PyTorch 1.6 and later)."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        index = next((name for name in names if f"/{name}".endswith("/data.pkl")), None)
        if index is None:
            raise ValueError("a zip without a data.pkl")
        folder = index[: -len("data.pkl")]
        if folder + "byteorder" in names and archive.read(folder + "byteorder") != b"little":
            raise MstlError(f"{path} has the numbers of a big-endian machine; save it on another one")
        unpickler = unpickler_of_next(io.BytesIO(content(archive, index, None)))
        root = unpickler.load()

    def read(storages: Mapping[Hashable, Storage]) -> dict[Hashable, bytes]:
        with zipfile.ZipFile(path) as archive:
            return {
                key: content(archive, f"{folder}data/{key}", storage.length * storage.itemsize)
                for key, storage in storages.items()
            }

    return Unpickled(root, list(unpickler.skipped), read)


def content(archive: zipfile.ZipFile, name: str, size: int | None) -> bytes:
    """A file in a zip archive, which must have a size if one is given.

    Raises:
        ValueError: It is larger than it can be in a sound file.
    """
    info = archive.getinfo(name)
    if info.file_size > LARGEST_PICKLE if size is None else info.file_size != size:
        raise ValueError(f"{name} has {info.file_size} bytes{'' if size is None else f' where {size} were announced'}")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{name} is compressed as PyTorch never does")
    return archive.read(info)


def read_legacy(path: Path) -> Unpickled:
    """Read the format before PyTorch 1.6: five pickles, then the numbers."""
    with open(path, "rb") as file:
        for number in (MAGIC_NUMBER, PROTOCOL_VERSION):
            if unpickler_of_next(file).load() != number:
                raise ValueError("no PyTorch file")
        if not unpickler_of_next(file).load().get("little_endian", True):
            raise MstlError(f"{path} has the numbers of a big-endian machine; save it on another one")
        unpickler = unpickler_of_next(file)
        root = unpickler.load()
        keys = unpickler_of_next(file).load()
        begin = file.tell()

    def read(storages: Mapping[Hashable, Storage]) -> dict[Hashable, bytes]:
        return read_numbers(path, begin, {key: unpickler.storages[key] for key in keys}, storages)

    return Unpickled(root, list(unpickler.skipped), read)


def read_numbers(
    path: Path, begin: int, stored: Mapping[Hashable, Storage], wanted: Mapping[Hashable, Storage]
) -> dict[Hashable, bytes]:
    """Read storages of the legacy format.

    Args:
        path: The file.
        begin: Where the first storage begins.
        stored: All storages, in the order of the file.
        wanted: Those to read.
    """
    data = {}
    with open(path, "rb") as file:
        file.seek(begin)
        for key, storage in stored.items():
            count = int.from_bytes(file.read(8), "little")
            if count != storage.length:
                raise ValueError(f"storage {key} has {count} numbers where {storage.length} were announced")
            size = count * storage.itemsize
            if size > os.path.getsize(path) - file.tell():
                raise ValueError(f"storage {key} is cut short")
            if key in wanted:
                data[key] = file.read(size)
            else:
                file.seek(size, os.SEEK_CUR)
    return data


def read_torch_file(path: str | Path) -> Arrays:
    """Read the tensors of a PyTorch file of either format; objects beside them are skipped, which is logged.

    Returns:
        Arrays by parameter name, in the order and precision of the file (bfloat16 becomes float32).

    Raises:
        MstlError: The file is damaged, holds no dict of tensors, or asks for what only an attack needs.
    """
    path = Path(path)
    try:
        unpickled = read_zip(path) if zipfile.is_zipfile(path) else read_legacy(path)
        tensors = find_state_dict(unpickled.root, path)
        arrays = to_arrays(tensors, unpickled, path.stat().st_size)
    except MstlError:
        raise
    except ForbiddenGlobal as error:
        raise MstlError(
            f"{path} asks to run {error}, which is no part of a tensor: it was refused and nothing was run; "
            "get the weights from a source that you trust, saved as a plain state_dict"
        ) from error
    except Exception as error:  # a damaged pickle or zip can raise anything
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # which is a place that a damaged zip names
            raise MstlError(f"cannot read {path}: {error.strerror or error}") from error
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise MstlError(f"{path} is not a PyTorch weights file, or is damaged: {reason}; get it again") from error
    if unpickled.skipped:
        some = ", ".join(unpickled.skipped[:4]) + (", ..." if len(unpickled.skipped) > 4 else "")
        logger.info("%s: objects beside the tensors are left out, and nothing of them was run (%s)", path.name, some)
    return arrays


def to_arrays(tensors: Mapping[str, LazyTensor], unpickled: Unpickled, file_size: int) -> Arrays:
    """The arrays of tensors; only the numbers that they need are read.

    Raises:
        ValueError: They are damaged, or need far more memory than their file has bytes.
    """
    total = sum(math.prod(tensor.shape) * tensor.storage.itemsize for tensor in tensors.values())
    if total > max(SMALL, GROWTH * file_size):
        raise ValueError(f"tensors of {total} bytes in a file of {file_size}")
    storages = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
    data = unpickled.read(storages)
    numbers = {key: storage.numbers(data.pop(key)) for key, storage in storages.items()}
    return {name: tensor.array(numbers[tensor.storage.key]) for name, tensor in tensors.items()}
