"""Checkpoints: what goes in comes out, and a failure leaves what was there."""

import os
import stat

import mindspore as ms
import numpy as np
import pytest

from mstl import MstlError, files
from mstl.checkpoint import first_not_finite, read_checkpoint, save_checkpoint

PARAMETERS = {"conv.weight": np.arange(12, dtype=np.float32).reshape(3, 4), "half": np.ones(3, np.float16)}
METADATA = {"classes": ["dogs", "狼"], "padding": "same", "nested": {"top1": 0.5}}


@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors"])
def test_round_trip(tmp_path, suffix):
    path = tmp_path / f"net{suffix}"
    save_checkpoint(path, PARAMETERS, METADATA)
    parameters, metadata = read_checkpoint(path)
    assert metadata == METADATA
    assert parameters.keys() == PARAMETERS.keys()
    for name, value in PARAMETERS.items():
        assert parameters[name].dtype == value.dtype
        assert np.array_equal(parameters[name], value)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_permissions_are_an_ordinary_files(tmp_path):
    old = os.umask(0o022)
    try:
        save_checkpoint(tmp_path / "net.ckpt", PARAMETERS, METADATA)
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "net.ckpt").stat().st_mode) == 0o644


def test_a_failed_save_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "net.ckpt"
    save_checkpoint(path, PARAMETERS, METADATA)
    before = path.read_bytes()

    def no_space(_source, _target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "replace", no_space)
    with pytest.raises(MstlError, match="cannot write .*net.ckpt: No space left on device"):
        save_checkpoint(path, {"other": np.zeros(1, np.float32)}, {})
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["net.ckpt"]


def test_unknown_suffix(tmp_path):
    with pytest.raises(MstlError, match=r"must end in \.ckpt or \.safetensors"):
        save_checkpoint(tmp_path / "net.bin", PARAMETERS, METADATA)


@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors"])
@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: b"not a checkpoint", lambda data: data[:-20]])
def test_damaged_files_are_one_line(tmp_path, suffix, damage, capfd):
    path = tmp_path / f"net{suffix}"
    save_checkpoint(path, PARAMETERS, METADATA)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(MstlError, match="not a checkpoint, or is damaged|holds no parameters") as caught:
        read_checkpoint(path)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors"])
def test_the_content_decides_and_not_the_name(tmp_path, suffix):
    other = {".ckpt": ".safetensors", ".safetensors": ".ckpt"}[suffix]
    save_checkpoint(tmp_path / f"net{suffix}", PARAMETERS, METADATA)
    (tmp_path / f"net{suffix}").rename(tmp_path / f"net{other}")
    parameters, metadata = read_checkpoint(tmp_path / f"net{other}")
    assert metadata == METADATA and np.array_equal(parameters["conv.weight"], PARAMETERS["conv.weight"])


def test_a_checksum_tells_that_a_number_has_changed(tmp_path):
    entries = [{"name": "a", "data": ms.Tensor(np.ones(100, np.float32))}]
    ms.save_checkpoint(entries, str(tmp_path / "net.ckpt"), crc_check=True)
    assert np.array_equal(read_checkpoint(tmp_path / "net.ckpt")[0]["a"], np.ones(100))
    data = bytearray((tmp_path / "net.ckpt").read_bytes())
    data[200] ^= 1
    (tmp_path / "damaged.ckpt").write_bytes(data)
    with pytest.raises(MstlError, match="damaged"):
        read_checkpoint(tmp_path / "damaged.ckpt")


@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors"])
def test_bfloat16_becomes_float32(tmp_path, suffix):
    """1.0, -2.0 and NaN, which must be seen as such; as the upper halves of their float32."""
    path = tmp_path / f"net{suffix}"
    if suffix == ".ckpt":
        values = ms.Tensor(np.array([1, -2, np.nan], np.float32)).astype(ms.bfloat16)
        ms.save_checkpoint([{"name": "a", "data": values}], str(path))
    else:
        numbers = np.array([0x3F80, 0xC000, 0x7FC0], "<u2").tobytes()
        header = b'{"a":{"dtype":"BF16","shape":[3],"data_offsets":[0,6]}}'
        path.write_bytes(len(header).to_bytes(8, "little") + header + numbers)
    read = read_checkpoint(path)[0]
    assert read["a"].dtype == np.float32 and np.array_equal(read["a"], [1, -2, np.nan], equal_nan=True)
    assert first_not_finite(read) == "a"


def test_scalars_and_parameters_in_slices_keep_their_shapes(tmp_path, monkeypatch):
    monkeypatch.setattr("mindspore.train.serialization.SLICE_SIZE", 1)  # KiB, in place of half a GiB
    values = {"scalar": np.float32(3), "one": np.ones(1, np.float32), "large": np.arange(3000.0).reshape(3, 1000)}
    entries = [{"name": name, "data": ms.Tensor(value)} for name, value in values.items()]
    ms.save_checkpoint(entries, str(tmp_path / "net.ckpt"))
    assert (tmp_path / "net.ckpt").read_bytes().count(b"large") == 24
    read = read_checkpoint(tmp_path / "net.ckpt")[0]
    for name, value in values.items():
        assert read[name].shape == np.shape(value) and np.array_equal(read[name], value)


def test_missing_file(tmp_path):
    with pytest.raises(MstlError, match="no checkpoint at"):
        read_checkpoint(tmp_path / "nothing.ckpt")


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(MstlError, match="cannot write into the folder"):
        files.make_folder(tmp_path / "file" / "below")


@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors"])
def test_values_that_are_not_finite_are_not_written(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    save_checkpoint(path, {"a": np.ones(3, np.float32)}, {})
    before = path.read_bytes()
    with pytest.raises(MstlError, match="b has values that are not finite"):
        save_checkpoint(path, {"a": np.ones(3, np.float32), "b": np.array([1, np.inf])}, {})
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
