"""The .pth reader: right numbers, and nothing of the file is ever run."""

import collections
import io
import os
import pickle
import zipfile

import numpy as np
import pytest

from mstl import MstlError
from mstl.models.torch_pickle import Storage, unpickler_of_next
from mstl.models.torch_reader import read_torch_file
from tests.torch_writer import write_legacy, write_zip

WRITERS = {"zip": write_zip, "legacy": write_legacy}
TENSORS = collections.OrderedDict(
    [
        ("a.weight", np.arange(24, dtype=np.float32).reshape(2, 3, 4)),
        ("a.half", np.linspace(-1, 1, 5).astype(np.float16)),
        ("transposed", np.asfortranarray(np.arange(6, dtype=np.float64).reshape(2, 3))),
        ("num_batches_tracked", np.array(7, np.int64)),
    ]
)


@pytest.fixture(params=WRITERS)
def write(request):
    return WRITERS[request.param]


def test_round_trip(tmp_path, write):
    write(tmp_path / "x.pth", TENSORS)
    read = read_torch_file(tmp_path / "x.pth")
    assert list(read) == list(TENSORS)
    for name, value in TENSORS.items():
        assert read[name].dtype == value.dtype
        assert np.array_equal(read[name], value)


@pytest.mark.parametrize("key", ["state_dict", "model"])
def test_training_checkpoints_are_unwrapped(tmp_path, write, key):
    write(tmp_path / "x.pth", {"epoch": 3, key: dict(TENSORS), "args": {"lr": 0.1}})
    assert list(read_torch_file(tmp_path / "x.pth")) == list(TENSORS)


def test_bfloat16_becomes_float32():
    # 1.0, -2.0 and 0.15625 as bfloat16: the upper halves of their float32
    data = np.array([0x3F80, 0xC000, 0x3E20], "<u2").tobytes()
    assert Storage("bfloat16", "0", 3).numbers(data).tolist() == [1.0, -2.0, 0.15625]


class Evil:
    """Asks the unpickler to call something."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


EVIL = {
    "os.system": (lambda flag: Evil(os.system, f"touch {flag}"), "system"),
    "eval": (lambda flag: Evil(eval, f"open({str(flag)!r}, 'w')"), "eval"),
    "exec": (lambda flag: Evil(exec, f"open({str(flag)!r}, 'w')"), "exec"),
    "open": (lambda flag: Evil(open, str(flag), "w"), "open"),
    "nested": (lambda flag: [{"deep": (Evil(os.mkdir, str(flag)),)}], "mkdir"),
    "pickle": (lambda flag: Evil(pickle.loads, pickle.dumps(Evil(os.mkdir, str(flag)))), "loads"),
}


@pytest.mark.parametrize("case", EVIL)
def test_code_is_refused_by_name_and_not_run(tmp_path, write, case):
    make, name = EVIL[case]
    flag = tmp_path / "it-ran"
    write(tmp_path / "x.pth", {"w": np.zeros(2, np.float32), "extra": make(flag)})
    with pytest.raises(MstlError, match=rf"asks to run [\w.]*{name}, .*refused") as caught:
        read_torch_file(tmp_path / "x.pth")
    assert "\n" not in str(caught.value)
    assert not flag.exists()


@pytest.mark.parametrize("position", [0, 1, 2])
def test_code_in_the_legacy_headers_is_refused(tmp_path, position):
    flag = tmp_path / "it-ran"
    head = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}]
    head[position] = Evil(os.mkdir, str(flag))
    with open(tmp_path / "x.pth", "wb") as file:
        for value in head:
            pickle.dump(value, file, protocol=2)
    with pytest.raises(MstlError, match="asks to run .*mkdir"):
        read_torch_file(tmp_path / "x.pth")
    assert not flag.exists()


def test_damaged_files_are_one_line(tmp_path, write):
    path = tmp_path / "x.pth"
    write(path, TENSORS)
    whole = path.read_bytes()
    for data in (b"", b"hello", whole[: len(whole) // 2], whole[:-3]):
        path.write_bytes(data)
        with pytest.raises(MstlError, match="not a PyTorch weights file, or is damaged") as caught:
            read_torch_file(path)
        assert "\n" not in str(caught.value)


def test_no_dict_of_tensors(tmp_path, write):
    write(tmp_path / "x.pth", {"epoch": 3})
    with pytest.raises(MstlError, match="has no model's tensors, but 'epoch'; in PyTorch, save"):
        read_torch_file(tmp_path / "x.pth")


def rewrite(path, **parts):
    """Replace files in a zip, each by a function of its content."""
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in contents.items():
            change = parts.get(name.rpartition("/")[2].partition(".")[0], lambda data: data)
            archive.writestr(name, change(data))


def test_a_tensor_cannot_reach_outside_its_storage(tmp_path):
    write_zip(tmp_path / "x.pth", {"w": np.arange(8, dtype=np.float32)})
    shape_of_8 = b"K\x08\x85"  # the tuple (8,), once as shape; the count of the storage is a bare K\x08
    rewrite(tmp_path / "x.pth", data=lambda pickled: pickled.replace(shape_of_8, b"K\x7f\x85"))
    with pytest.raises(MstlError, match="outside its storage"):
        read_torch_file(tmp_path / "x.pth")


def test_a_tensor_of_more_numbers_than_any_file_has(tmp_path):
    """All of them the same one, so that none is outside its storage."""
    write_zip(tmp_path / "x.pth", {"w": np.arange(8, dtype=np.float32)})
    shape, strides = b"K\x08\x85", b"K\x01\x85"
    large, none = b"\x8a\x06\0\0\0\0\0\x01\x85", b"K\0\x85"  # 2**40, and 0
    rewrite(tmp_path / "x.pth", data=lambda pickled: pickled.replace(shape, large).replace(strides, none))
    with pytest.raises(MstlError, match="damaged: tensors of 4398046511104 bytes in a file of"):
        read_torch_file(tmp_path / "x.pth")


def test_a_damaged_pickle_reserves_no_memory():
    """Python would make room for as many objects as a place in its memo says, four billion of them."""
    with pytest.raises(ValueError, match="a damaged pickle"):
        unpickler_of_next(io.BytesIO(b"\x80\x02Nr\xff\xff\xff\xff."))


def test_a_storage_of_another_size_is_not_unpacked(tmp_path):
    write_zip(tmp_path / "x.pth", {"w": np.ones(4, np.float32)})
    rewrite(tmp_path / "x.pth", **{"0": lambda _: bytes(1 << 26)})
    with pytest.raises(MstlError, match="archive/data/0 has 67108864 bytes where 16 were announced"):
        read_torch_file(tmp_path / "x.pth")


def test_only_the_numbers_that_are_asked_for_are_read(tmp_path, write, monkeypatch):
    moments = {index: {"exp_avg": np.zeros(1000, np.float32)} for index in range(3)}
    write(tmp_path / "x.pth", {"optimizer": {"state": moments}, "state_dict": dict(TENSORS)})
    sizes = []
    numbers = Storage.numbers
    monkeypatch.setattr(Storage, "numbers", lambda self, data: sizes.append(self.length) or numbers(self, data))
    assert list(read_torch_file(tmp_path / "x.pth")) == list(TENSORS)
    assert sizes == [24, 5, 6, 1]


def test_numbers_of_types_that_are_left_out_are_passed_over(tmp_path):
    """In the old format, their sizes are needed to find the tensors after them."""
    write_legacy(tmp_path / "x.pth", {"odd": np.ones(3, np.float64), "state_dict": dict(TENSORS)})
    content = (tmp_path / "x.pth").read_bytes()
    (tmp_path / "x.pth").write_bytes(content.replace(b"DoubleStorage", b"ComplexFloatStorage", 1))
    assert list(read_torch_file(tmp_path / "x.pth")) == list(TENSORS)
