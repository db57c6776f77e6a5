"""Environment, devices, seeds and folders."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mstl import MstlError
from mstl.runtime import devices, environment


@pytest.mark.parametrize(
    ("version", "flags", "needed"),
    [
        ((2, 10), {"avx2", "avx512f"}, True),
        ((2, 9), {"avx2", "avx512f"}, True),
        ((2, 8), {"avx2", "avx512f"}, False),
        ((2, 10), {"avx2"}, False),
        ((3, 0), {"avx512f"}, True),
        (None, {"avx512f"}, False),
    ],
)
def test_onednn_is_capped_just_where_it_is_slow(monkeypatch, version, flags, needed):
    monkeypatch.setattr(environment, "mindspore_version", lambda: version)
    monkeypatch.setattr(environment, "cpu_flags", lambda: frozenset(flags))
    assert environment.needs_onednn_cap() is needed
    monkeypatch.delenv(environment.ONEDNN_CAP, raising=False)
    environment.prepare_environment()
    assert os.environ.pop(environment.ONEDNN_CAP, None) == ("AVX2" if needed else None)


def test_a_value_of_the_users_is_kept(monkeypatch):
    monkeypatch.setattr(environment, "needs_onednn_cap", lambda: True)
    monkeypatch.setenv(environment.ONEDNN_CAP, "SSE41")
    monkeypatch.setenv("GLOG_v", "1")
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    environment.prepare_environment()
    assert os.environ[environment.ONEDNN_CAP] == "SSE41"
    assert os.environ["GLOG_v"] == "1"
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "0"


def test_environment_is_set_before_mindspore_is_imported():
    code = "import sys, os, mstl; assert os.environ['GLOG_v'] == '4' and 'mindspore' not in sys.modules"
    env = {key: value for key, value in os.environ.items() if key not in ("GLOG_v", environment.ONEDNN_CAP)}
    subprocess.run([sys.executable, "-c", code], check=True, env=env)


def test_onnx_runtime_tells_nobody(tmp_path):
    """Its telemetry, where it has one, writes a file with an identifier as soon as it is loaded."""
    pytest.importorskip("onnxruntime")
    hidden = ("ORT_DISABLE_TELEMETRY", "CI", "GITHUB_ACTIONS")
    env = {key: value for key, value in os.environ.items() if key not in hidden}
    folders = {"TMPDIR": str(tmp_path), "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", "import mstl, onnxruntime"], check=True, env=env | folders)
    assert list(tmp_path.iterdir()) == []


def test_version_is_the_installed_one():
    import mindspore

    assert environment.mindspore_version() == tuple(int(part) for part in mindspore.__version__.split(".")[:2])


def test_auto_takes_the_first_that_works(monkeypatch):
    import mindspore as ms

    chosen = []
    monkeypatch.setattr(devices, "available_devices", lambda: ["GPU", "CPU"])
    monkeypatch.setattr(ms, "set_device", chosen.append)
    assert devices.use_device("auto") == "GPU"
    assert devices.use_device("cpu") == "CPU"
    assert chosen == ["GPU", "CPU"]


def test_cpu_is_always_there():
    assert devices.available_devices()[-1] == "CPU"
    assert devices.use_device("CPU") == "CPU"


def test_absent_and_unknown_devices_are_refused_in_one_line(monkeypatch):
    monkeypatch.setattr(devices, "available_devices", lambda: ["CPU"])
    with pytest.raises(MstlError, match="Ascend does not work here .working: CPU.*--device CPU") as caught:
        devices.use_device("Ascend")
    assert "\n" not in str(caught.value)
    with pytest.raises(MstlError, match="unknown device 'TPU'.*auto, Ascend, GPU, CPU"):
        devices.use_device("TPU")


@pytest.mark.parametrize(("numpy", "refused"), [("1.26.4", False), ("2.3.5", True), (None, False)])
def test_numpy_2_is_refused(monkeypatch, numpy, refused):
    monkeypatch.setattr(devices, "installed_version", {"mindspore": "2.10.0", "numpy": numpy}.get)
    if not refused:
        assert devices.available_devices()[-1] == "CPU"
        return
    line = r'MindSpore 2.10.0 is built for NumPy 1 and fails with NumPy 2.3.5: `pip install "numpy<2"`'
    for ask in (devices.available_devices, devices.use_device):
        with pytest.raises(MstlError, match=line):
            ask()


def test_a_device_that_fails_to_start_is_one_line(monkeypatch):
    import mindspore as ms

    def fail(_name):
        raise RuntimeError("driver too old\n----\nlong story")

    monkeypatch.setattr(ms, "set_device", fail)
    monkeypatch.setattr(ms, "get_context", lambda _key: "GPU")
    with pytest.raises(MstlError, match="CPU cannot be used: driver too old$"):
        devices.use_device("CPU")


def test_a_second_run_in_one_process_goes_on_with_its_device():
    import mindspore as ms

    (ms.Tensor([1.0]) + 1).asnumpy()  # MindSpore takes no device any more once it has computed
    assert devices.use_device("auto") == devices.use_device("CPU") == "CPU"


def test_workers_are_clamped_to_the_cores(monkeypatch):
    monkeypatch.setattr(devices, "cores", lambda: 2)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    assert [devices.clamp_workers(count) for count in (None, 0, 1, 2, 99)] == [2, 1, 1, 2, 2]
    monkeypatch.setattr(devices, "cores", lambda: 64)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert devices.clamp_workers() == 8


def test_home(monkeypatch):
    monkeypatch.setenv("MSTL_HOME", "~/somewhere")
    assert environment.home() == Path.home() / "somewhere"
    monkeypatch.delenv("MSTL_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert environment.home() == Path("/cache/mstl")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert environment.home() == Path.home() / ".cache" / "mstl"


@pytest.mark.parametrize(
    ("value", "expected"), [("1", True), ("yes", True), ("", False), ("0", False), ("False", False)]
)
def test_offline(monkeypatch, value, expected):
    monkeypatch.setenv("MSTL_OFFLINE", value)
    assert environment.offline() is expected


def test_one_seed_one_net():
    import numpy as np

    import mstl

    first, second, other = (seeded_conv1(mstl, seed) for seed in (3, 3, 4))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def seeded_conv1(mstl, seed):
    devices.set_seed(seed)
    return mstl.resnet18(num_classes=2).conv1.weight.asnumpy()
