"""Checkpoints: what goes in comes out, and a failure leaves what was there."""

import os
import stat

import numpy as np
import pytest

from mstl import MstlError, files
from mstl.checkpoint import read_checkpoint, save_checkpoint

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
