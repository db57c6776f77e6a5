"""Writes .pth files of both formats without PyTorch, for the tests of the reader."""

import collections
import contextlib
import pickle
import sys
import types
import zipfile

import numpy as np

STORAGE = {
    np.dtype("f4"): "FloatStorage",
    np.dtype("f2"): "HalfStorage",
    np.dtype("f8"): "DoubleStorage",
    np.dtype("i8"): "LongStorage",
}


@contextlib.contextmanager
def fake_torch():
    """Modules of PyTorch's names, so that pickle can write their names down."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")

    def _rebuild_tensor_v2(*args):
        raise AssertionError("the real reader must never call this")

    _rebuild_tensor_v2.__module__ = "torch._utils"
    _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    for name in (*STORAGE.values(), "BFloat16Storage"):
        setattr(torch, name, type(name, (), {"__module__": "torch"}))
    torch._utils = utils
    saved = {name: sys.modules.get(name) for name in ("torch", "torch._utils")}
    sys.modules.update({"torch": torch, "torch._utils": utils})
    try:
        yield torch
    finally:
        for name, module in saved.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


class StorageReference:
    def __init__(self, kind, key, count):
        self.kind, self.key, self.count = kind, key, count


class Pickler(pickle.Pickler):
    """Arrays become PyTorch's tensors, as its own pickler writes them."""

    def __init__(self, file, torch, legacy):
        super().__init__(file, protocol=2)
        self.torch, self.legacy, self.storages = torch, legacy, {}

    def persistent_id(self, value):
        if isinstance(value, StorageReference):
            view = (None,) if self.legacy else ()
            return ("storage", value.kind, value.key, "cpu", value.count, *view)
        return None

    def reducer_override(self, value):
        if not isinstance(value, np.ndarray):
            return NotImplemented
        key = str(len(self.storages))
        self.storages[key] = value
        reference = StorageReference(getattr(self.torch, STORAGE[value.dtype]), key, value.size)
        strides = tuple(stride // value.itemsize for stride in value.strides)
        arguments = (reference, 0, value.shape, strides, False, collections.OrderedDict())
        return self.torch._utils._rebuild_tensor_v2, arguments


def write_zip(path, root):
    with fake_torch() as torch, zipfile.ZipFile(path, "w") as archive:
        with archive.open("archive/data.pkl", "w") as file:
            pickler = Pickler(file, torch, legacy=False)
            pickler.dump(root)
        archive.writestr("archive/byteorder", "little")
        for key, value in pickler.storages.items():
            archive.writestr(f"archive/data/{key}", value.tobytes(order="A"))


def write_legacy(path, root):
    with fake_torch() as torch, open(path, "wb") as file:
        for value in (0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True}):
            pickle.dump(value, file, protocol=2)
        pickler = Pickler(file, torch, legacy=True)
        pickler.dump(root)
        pickle.dump(list(pickler.storages), file, protocol=2)
        for value in pickler.storages.values():
            file.write(value.size.to_bytes(8, "little") + value.tobytes(order="A"))
