"""The pickles in PyTorch's files, read without running what is in them: tensors, containers, and nothing else.

A pickle can call any function of the machine that opens it. This unpickler knows the few names that tensors and their
containers need, each replaced by a harmless function of this module. Whatever else a pickle asks for becomes a
:class:`Skipped` object: it is not imported, nothing of it is called, and all that is done to it is forgotten.
"""

import io
import pickle
import pickletools
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mstl.checkpoint import BFLOAT16, to_array

STORAGES = {  # the type of the numbers, by the name that a pickle gives it
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": BFLOAT16,
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
    # those of tensors that are left out, whose size must be known to find the next
    "ComplexFloatStorage": "<c8",
    "ComplexDoubleStorage": "<c16",
    "QInt8Storage": "i1",
    "QUInt8Storage": "u1",
    "QInt32Storage": "<i4",
    "UntypedStorage": "u1",
}
# What is never in an honest file. It would not be called either; but a file that asks for it should not be trusted.
ATTACKS = {"os", "posix", "nt", "subprocess", "pty", "runpy", "importlib", "shutil", "socket", "ctypes", "webbrowser"}
ATTACKS |= {"pickle", "_pickle", "marshal"}
BUILTINS = {"builtins", "__builtin__", "io", "_io"}
CALLS = {"eval", "exec", "execfile", "compile", "open", "__import__", "breakpoint", "input"}  # of these


class Storage(NamedTuple):
    """A sequence of numbers that the pickle names by a key, and whose bytes are elsewhere in the file.

    A tuple, and a dtype that is only a name: a pickle could change the attributes of other objects.

    Attributes:
        dtype: NumPy's name of the type of the numbers, or ``"bfloat16"``; "" for a type that is not known here.
        key: Its key.
        length: How many numbers it has.
    """

    dtype: str
    key: Hashable
    length: int

    @property
    def itemsize(self) -> int:
        """Bytes per number.

        Raises:
            ValueError: The type is not known.
        """
        if not self.dtype:
            raise ValueError("numbers of an unknown type")
        return 2 if self.dtype == BFLOAT16 else np.dtype(self.dtype).itemsize

    def numbers(self, data: bytes) -> NDArray[Any]:
        """The numbers in ``data``; bfloat16 becomes float32.

        Raises:
            ValueError: There are not as many as announced.
        """
        return to_array(data, self.dtype, [self.length])


class LazyTensor(NamedTuple):
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


class Skipped:
    """What stands for an object that is no tensor and no container of tensors.

    Attributes:
        kind: The name that the pickle asked for, such as ``"argparse.Namespace"``.
    """

    __slots__ = ()
    kind = ""

    def __new__(cls, *_arguments: object, **_options: object) -> "Skipped":
        """Whatever it is made of is forgotten."""
        return super().__new__(cls)

    def __call__(self, *_arguments: object, **_options: object) -> "Skipped":
        """The result of a call is unknown, too."""
        return self

    def __setitem__(self, _key: object, _value: object) -> None:
        """Forget an item."""

    def forget(self, _values: object) -> None:
        """Forget the state, or the items, that the pickle gives to it."""

    __setstate__ = append = extend = add = update = forget


class ForbiddenGlobal(Exception):
    """A pickle asks for something that only an attack needs."""


class TensorUnpickler(pickle.Unpickler):
    """An unpickler that only makes tensors and the containers that hold them.

    Attributes:
        storages: The storages that the pickle names, by key.
        skipped: The names of all else that it asks for.
    """

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file, encoding="latin1")  # Python 2's strings, which may be the bytes of numbers
        self.storages: dict[Hashable, Storage] = {}
        self.skipped: dict[str, None] = {}

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in for a name."""
        if (module, name) in ALLOWED:
            return ALLOWED[module, name]
        if module in ("torch", "torch.storage") and name in STORAGES:
            return STORAGES[name]
        if module.partition(".")[0] in ATTACKS or (module in BUILTINS and name in CALLS):
            raise ForbiddenGlobal(f"{module}.{name}")
        kind = f"{module}.{name}".replace("__builtin__.", "builtins.")
        self.skipped[kind] = None
        return type("Skipped", (Skipped,), {"__slots__": (), "kind": kind})

    def persistent_load(self, reference: Any) -> object:
        """The storage that a tuple of PyTorch's refers to; of a pickled module, its class."""
        if reference[0] == "module":
            return reference[1]
        kind, dtype, key, _location, count, *view = reference
        if kind != "storage" or any(view):
            raise ValueError("an unknown reference")
        return self.storages.setdefault(key, Storage(dtype if isinstance(dtype, str) else "", key, int(count)))


def rebuild_tensor(
    storage: object, offset: int, shape: Sequence[int], strides: Sequence[int], *_unused: object
) -> LazyTensor:
    """Stand in for ``torch._utils._rebuild_tensor_v2`` (and the older one without ``_v2``)."""
    if not isinstance(storage, Storage):
        raise ValueError("a tensor without a storage")
    if not all(isinstance(number, int) for number in (offset, *shape, *strides)) or len(shape) != len(strides):
        raise ValueError("a tensor of no shape")
    return LazyTensor(storage, offset, tuple(shape), tuple(strides))


def rebuild_parameter(tensor: object, *_unused: object) -> object:
    """Stand in for ``torch._utils._rebuild_parameter``: a parameter is its tensor."""
    return tensor


def rebuild_subclass(function: object, _kind: object, arguments: Any, _state: object) -> object:
    """Stand in for ``torch._tensor._rebuild_from_type_v2``: a tensor of a class of its own, or with attributes."""
    if function in (rebuild_tensor, rebuild_parameter):
        return function(*arguments)
    return Skipped()


def new_dict(*_default: object) -> dict[object, object]:
    """Stand in for ``collections.defaultdict``."""
    return OrderedDict()


ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("collections", "defaultdict"): new_dict,
    ("torch._utils", "_rebuild_tensor"): rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): rebuild_parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): rebuild_parameter,
    ("torch._tensor", "_rebuild_from_type_v2"): rebuild_subclass,
}


def unpickler_of_next(file: IO[bytes]) -> TensorUnpickler:
    """An unpickler of the next pickle in a file, which is left after it.

    The opcodes are looked at first: in a damaged pickle, a place in the memo of a few bytes can make Python reserve
    many gigabytes.

    Raises:
        Exception: It is damaged; of any type.
    """
    start = file.tell()
    for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and isinstance(argument, int) and argument > count:
            raise ValueError("a damaged pickle")
    length = file.tell() - start
    file.seek(start)
    return TensorUnpickler(io.BytesIO(file.read(length)))
