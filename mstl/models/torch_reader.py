"""PyTorch's .pth files, both formats, read without PyTorch and without running what is in them.

A .pth file is a pickle, and a pickle can call any function of the machine that opens it. The unpickler here knows the
few names that a dict of tensors needs, each replaced by a harmless function of this module, and refuses every other.
"""

import pickle
import zipfile
from collections import OrderedDict

import numpy as np

from mstl.errors import MstlError

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C  # the first pickle of the legacy format
PROTOCOL_VERSION = 1001
BFLOAT16 = "bfloat16"
STORAGES = {
    "DoubleStorage": np.dtype("<f8"),
    "FloatStorage": np.dtype("<f4"),
    "HalfStorage": np.dtype("<f2"),
    "BFloat16Storage": BFLOAT16,
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
    "ShortStorage": np.dtype("<i2"),
    "CharStorage": np.dtype("i1"),
    "ByteStorage": np.dtype("u1"),
    "BoolStorage": np.dtype("?"),
}


class Storage:
    """A named run of numbers in the file; its bytes come after the pickle that names it."""

    def __init__(self, dtype, key, count):
        self.dtype, self.key, self.count = dtype, key, count

    @property
    def itemsize(self):
        """Bytes a number."""
        return 2 if self.dtype == BFLOAT16 else self.dtype.itemsize

    def numbers(self, data):
        """The numbers in ``data``; bfloat16 as float32, which NumPy has no name for."""
        if self.dtype == BFLOAT16:
            return (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4")
        return np.frombuffer(data, self.dtype)


class LazyTensor:
    """Where in a storage a tensor lies, until the storage's bytes have been read."""

    def __init__(self, storage, offset, shape, strides):
        self.storage, self.offset, self.shape, self.strides = storage, offset, shape, strides

    def array(self, numbers):
        """The tensor as an array of its own, from its storage's numbers."""
        last = self.offset + sum((size - 1) * stride for size, stride in zip(self.shape, self.strides, strict=True))
        if min((self.offset, *self.shape, *self.strides)) < 0 or (0 not in self.shape and last >= len(numbers)):
            raise ValueError("a tensor reaches outside its storage")
        strides = [stride * numbers.itemsize for stride in self.strides]
        return np.lib.stride_tricks.as_strided(numbers[self.offset :], self.shape, strides).copy()


def rebuild_tensor(storage, offset, shape, strides, *_unused):
    """Stand in for ``torch._utils._rebuild_tensor_v2`` (and the older one without ``_v2``)."""
    if not isinstance(storage, Storage):
        raise ValueError("a tensor without a storage")
    return LazyTensor(storage, offset, tuple(shape), tuple(strides))


def rebuild_parameter(tensor, *_unused):
    """Stand in for ``torch._utils._rebuild_parameter``: a parameter is its tensor."""
    return tensor


ALLOWED = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor"): rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): rebuild_parameter,
    **{("torch", name): dtype for name, dtype in STORAGES.items()},
}


class ForbiddenGlobal(Exception):
    """A pickle asks for a name that is no part of a dict of tensors."""


class TensorUnpickler(pickle.Unpickler):
    """An unpickler that admits tensors, the containers that hold them, and nothing else."""

    def __init__(self, file):
        super().__init__(file, encoding="utf-8")
        self.storages = {}

    def find_class(self, module, name):
        """The stand-in for an admitted name."""
        try:
            return ALLOWED[module, name]
        except KeyError:
            raise ForbiddenGlobal(f"{module}.{name}") from None

    def persistent_load(self, reference):
        """A storage, by the tuple that PyTorch writes for it."""
        kind, dtype, key, _location, count, *view = reference
        if kind != "storage" or any(view) or (dtype != BFLOAT16 and not isinstance(dtype, np.dtype)):
            raise ValueError(f"an unknown reference {reference!r}")
        return self.storages.setdefault(key, Storage(dtype, key, int(count)))


def read_zip(path):
    """Objects and storages' bytes of the zip format (PyTorch 1.6 and later)."""
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
    return root, unpickler.storages, data


def read_legacy(path):
    """Objects and storages' bytes of the format before PyTorch 1.6: five pickles, then the numbers."""
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
    return root, unpickler.storages, data


def find_tensors(root):
    """The dict of tensors itself, or the one in a training checkpoint's "state_dict" or "model"."""
    for key in ("state_dict_ema", "state_dict", "model_ema", "model"):
        if isinstance(root, dict) and isinstance(root.get(key), dict):
            root = root[key]
            break
    if not isinstance(root, dict) or not any(isinstance(value, LazyTensor) for value in root.values()):
        raise ValueError("no dict of tensors")
    return {str(name): value for name, value in root.items() if isinstance(value, LazyTensor)}


def read_torch_file(path):
    """Read a .pth file of either format.

    Args:
        path: The file.

    Returns:
        A dict from parameter name to array, in the file's order and precision (bfloat16 becomes float32).

    Raises:
        MstlError: The file is no dict of tensors, is damaged, or asks for anything but tensors.
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
    except Exception as error:  # whatever a damaged pickle or zip makes of the readers
        raise MstlError(f"{path} is no PyTorch weights file, or is damaged: {error}; get it again") from error
