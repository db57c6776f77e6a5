"""PyTorch's .pth files, in both formats, read without PyTorch and without running what is in them.

A .pth file is a pickle, and a pickle can call any function of the machine that opens it. This unpickler only knows the
few names that a dict of tensors needs, each replaced by a harmless function of this module, and refuses all others.
"""

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mstl.checkpoint import Arrays
from mstl.errors import MstlError

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C  # the first pickle of the legacy format
PROTOCOL_VERSION = 1001

DType = np.dtype[Any] | Literal["bfloat16"]  # NumPy has no bfloat16
STORAGES: dict[str, DType] = {
    "DoubleStorage": np.dtype("<f8"),
    "FloatStorage": np.dtype("<f4"),
    "HalfStorage": np.dtype("<f2"),
    "BFloat16Storage": "bfloat16",
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
    "ShortStorage": np.dtype("<i2"),
    "CharStorage": np.dtype("i1"),
    "ByteStorage": np.dtype("u1"),
    "BoolStorage": np.dtype("?"),
}


@dataclass(frozen=True)
class Storage:
    """A sequence of numbers that the pickle names by a key, and whose bytes follow it in the file.

    Attributes:
        dtype: The type of the numbers.
        key: Its key.
        count: How many numbers it has.
    """

    dtype: DType
    key: Hashable
    count: int

    @property
    def itemsize(self) -> int:
        """Bytes per number."""
        return 2 if isinstance(self.dtype, str) else self.dtype.itemsize

    def numbers(self, data: bytes) -> NDArray[Any]:
        """The numbers in ``data``; bfloat16 becomes float32."""
        if isinstance(self.dtype, str):
            return (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4")
        return np.frombuffer(data, self.dtype)


@dataclass(frozen=True)
class LazyTensor:
    """The place of a tensor in a storage whose bytes are not read yet; offset and strides count numbers."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self, numbers: NDArray[Any]) -> NDArray[Any]:
        """The tensor as an array of its own, from the numbers of its storage.

        Raises:
            ValueError: It is not inside the storage.
        """
        last = self.offset + sum((size - 1) * stride for size, stride in zip(self.shape, self.strides, strict=True))
        if min((self.offset, *self.shape, *self.strides)) < 0 or (0 not in self.shape and last >= len(numbers)):
            raise ValueError("a tensor reaches outside its storage")
        strides = [stride * numbers.itemsize for stride in self.strides]
        return np.lib.stride_tricks.as_strided(numbers[self.offset :], self.shape, strides).copy()


def rebuild_tensor(
    storage: object, offset: int, shape: Sequence[int], strides: Sequence[int], *_unused: object
) -> LazyTensor:
    """Stand in for ``torch._utils._rebuild_tensor_v2`` (and the older one without ``_v2``)."""
    if not isinstance(storage, Storage):
        raise ValueError("a tensor without a storage")
    return LazyTensor(storage, offset, tuple(shape), tuple(strides))


def rebuild_parameter(tensor: object, *_unused: object) -> object:
    """Stand in for ``torch._utils._rebuild_parameter``: a parameter is its tensor."""
    return tensor


ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor"): rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): rebuild_parameter,
    **{("torch", name): dtype for name, dtype in STORAGES.items()},
}


class ForbiddenGlobal(Exception):
    """A pickle asks for a name that is not needed for a dict of tensors."""


class TensorUnpickler(pickle.Unpickler):
    """An unpickler that only admits tensors and the containers that hold them.

    Attributes:
        storages: The storages that the pickle names, by key.
    """

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file, encoding="utf-8")
        self.storages: dict[Hashable, Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in for an admitted name."""
        try:
            return ALLOWED[module, name]
        except KeyError:
            raise ForbiddenGlobal(f"{module}.{name}") from None

    def persistent_load(self, reference: Any) -> Storage:
        """The storage that a tuple of PyTorch's refers to."""
        kind, dtype, key, _location, count, *view = reference
        if kind != "storage" or any(view) or (dtype != "bfloat16" and not isinstance(dtype, np.dtype)):
            raise ValueError(f"an unknown reference {reference!r}")
        return self.storages.setdefault(key, Storage(dtype, key, int(count)))


class Unpickled(NamedTuple):
    """The content of a file.

    Attributes:
        root: What was pickled, with a LazyTensor for each tensor.
        storages: The storages of the tensors, by key.
        data: The bytes of each storage.
    """

    root: object
    storages: Mapping[Hashable, Storage]
    data: Mapping[Hashable, bytes]


def read_zip(path: str | Path) -> Unpickled:
    """Read the zip format (PyTorch 1.6 and later)."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        index = next((name for name in names if name.endswith("/data.pkl")), None)
        if index is None:
            raise ValueError("a zip without a data.pkl")
        folder = index[: -len("data.pkl")]
        order = folder + "byteorder"
        if order in names and archive.read(order) != b"little":
            raise ValueError("big-endian numbers")
        with archive.open(index) as file:
            unpickler = TensorUnpickler(file)
            root = unpickler.load()
        data = {key: archive.read(f"{folder}data/{key}") for key in unpickler.storages}
    return Unpickled(root, unpickler.storages, data)


def read_legacy(path: str | Path) -> Unpickled:
    """Read the format before PyTorch 1.6: five pickles, then the numbers."""
    with open(path, "rb") as file:
        if TensorUnpickler(file).load() != MAGIC_NUMBER or TensorUnpickler(file).load() != PROTOCOL_VERSION:
            raise ValueError("no PyTorch file")
        if not TensorUnpickler(file).load().get("little_endian", True):
            raise ValueError("big-endian numbers")
        unpickler = TensorUnpickler(file)
        root = unpickler.load()
        data = {}
        for key in TensorUnpickler(file).load():
            storage = unpickler.storages[key]
            count = int.from_bytes(file.read(8), "little")
            if count != storage.count:
                raise ValueError(f"storage {key} has {count} numbers where {storage.count} were announced")
            data[key] = file.read(count * storage.itemsize)
    return Unpickled(root, unpickler.storages, data)


def find_tensors(root: object) -> dict[str, LazyTensor]:
    """The tensors of a dict of tensors, or of the one inside a training checkpoint, by name."""
    for key in ("state_dict_ema", "state_dict", "model_ema", "model"):
        if isinstance(root, dict) and isinstance(root.get(key), dict):
            root = root[key]
            break
    if not isinstance(root, dict) or not any(isinstance(value, LazyTensor) for value in root.values()):
        raise ValueError("no dict of tensors")
    return {str(name): value for name, value in root.items() if isinstance(value, LazyTensor)}


def read_torch_file(path: str | Path) -> Arrays:
    """Read a .pth file of either format.

    Returns:
        Arrays by parameter name, in the order and precision of the file (bfloat16 becomes float32).

    Raises:
        MstlError: The file is damaged, holds no dict of tensors, or asks for anything but tensors.
    """
    try:
        root, storages, data = read_zip(path) if zipfile.is_zipfile(path) else read_legacy(path)
        numbers = {}
        for key, storage in storages.items():
            if len(data[key]) != storage.count * storage.itemsize:
                raise ValueError(f"storage {key} is cut short")
            numbers[key] = storage.numbers(data[key])
        return {name: lazy.array(numbers[lazy.storage.key]) for name, lazy in find_tensors(root).items()}
    except ForbiddenGlobal as error:
        raise MstlError(
            f"{path} asks to run {error}, which is no part of a tensor: it was refused and nothing was run; "
            "get the weights from a source that you trust, saved as a plain state_dict"
        ) from error
    except OSError as error:
        raise MstlError(f"cannot read {path}: {error.strerror or error}") from error
    except Exception as error:  # a damaged pickle or zip can raise anything
        raise MstlError(f"{path} is not a PyTorch weights file, or is damaged: {error}; get it again") from error
