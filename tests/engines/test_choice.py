"""Which engine is taken: what is installed, what the processor can do, and what the user and the record say."""

import importlib.metadata
import sys

import pytest

import mstl
from mstl.engines import choice
from mstl.engines.choice import Choice, choices

MINDSPORE = ("mindspore", "fp32")


@pytest.fixture
def machine(monkeypatch):
    """A function that sets which engines are installed, and whether the processor computes in bf16."""

    def set_up(*engines, bf16=False):
        monkeypatch.setattr(choice, "missing_package", lambda engine: None if engine in engines else engine)
        monkeypatch.setattr(choice, "computes_bf16", lambda: bf16)
        monkeypatch.setattr(importlib.metadata, "version", lambda package: "1.0")

    return set_up


def names(**wanted):
    return [(each.engine, each.precision) for each in choices(**wanted)]


def test_the_quickest_that_is_installed(machine):
    machine()
    assert names() == [MINDSPORE]
    machine("openvino")
    assert names() == [("openvino", "fp32"), MINDSPORE]
    machine("onnxruntime", "openvino")
    assert names() == [("onnxruntime", "fp32"), ("openvino", "fp32"), MINDSPORE]
    machine("onnxruntime", "openvino", bf16=True)
    assert names() == [("openvino", "bf16"), ("onnxruntime", "fp32"), ("openvino", "fp32"), MINDSPORE]


def test_what_the_user_wants(machine):
    machine("onnxruntime", "openvino", bf16=True)
    assert names(engine="mindspore") == [MINDSPORE]
    assert names(engine="onnxruntime") == [("onnxruntime", "fp32")], "and no other in its place"
    assert names(engine="openvino") == [("openvino", "bf16"), ("openvino", "fp32")]
    assert names(engine="openvino", precision="fp32") == [("openvino", "fp32")]
    assert names(precision="bf16") == [("openvino", "bf16")]
    assert names(precision="fp32") == [("onnxruntime", "fp32"), ("openvino", "fp32"), MINDSPORE]
    assert names(engine="onnxruntime", recorded="bf16") == [("onnxruntime", "fp32")]


def test_a_record_decides_on_the_precision(machine, caplog):
    caplog.set_level("INFO", "mstl")
    machine("onnxruntime", "openvino", bf16=True)
    assert names(recorded="fp32")[0] == ("onnxruntime", "fp32")
    assert names(recorded="bf16")[0] == ("openvino", "bf16")
    assert names(recorded="fp32", precision="bf16")[0] == ("openvino", "bf16"), "unless the user does"
    assert not caplog.text
    machine("onnxruntime", "openvino")
    assert names(recorded="bf16")[0] == ("onnxruntime", "fp32")
    assert "fp32 is used, as bf16, by which the model was trained, is not computed here" in caplog.text


@pytest.mark.parametrize("wanted", [{"device": "GPU"}, {"device": "Ascend"}, {"amp": "O2"}])
def test_other_engines_are_for_the_cpu(machine, wanted):
    machine("onnxruntime", "openvino", bf16=True)
    assert names(**wanted) == [("mindspore", wanted.get("amp", "fp32"))]
    assert names(engine="mindspore", **wanted) == names(**wanted)
    for more in ({"engine": "onnxruntime"}, {"precision": "bf16"}):
        with pytest.raises(mstl.MstlError, match="is for the CPU without mixed precision, not for --"):
            choices(**more, **wanted)


@pytest.mark.parametrize(
    ("installed", "wanted", "error"),
    [
        ((), {"engine": "onnxruntime"}, r'--engine onnxruntime needs onnxruntime.* `pip install "mstl\[onnx\]"`'),
        ((), {"engine": "openvino"}, r'--engine openvino needs openvino.*`pip install "mstl\[openvino\]"`'),
        ((), {"precision": "bf16"}, r'--precision bf16 needs openvino.*`pip install "mstl\[openvino\]"`'),
        (("onnxruntime",), {"engine": "onnxruntime", "precision": "bf16"}, "onnxruntime does not compute in bf16"),
        (("openvino",), {"engine": "mindspore", "precision": "bf16"}, "mindspore does not compute in bf16"),
        (("openvino",), {"precision": "bf16"}, "needs a processor that computes in it"),
    ],
)
def test_what_is_impossible_is_refused(machine, installed, wanted, error):
    machine(*installed)
    with pytest.raises(mstl.MstlError, match=error) as caught:
        choices(**wanted)
    assert "\n" not in str(caught.value)


def test_nothing_is_imported_to_see_what_is_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)  # an import would fail
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    assert choice.missing_package("onnxruntime") is None


def test_a_record_of_another_version_does_no_harm():
    assert Choice.from_dict({"engine": "onnxruntime", "new": "value"}) == Choice("onnxruntime", "unknown", "unknown")


def test_a_package_of_another_name_has_a_version(monkeypatch):
    def missing(package):
        raise importlib.metadata.PackageNotFoundError

    monkeypatch.setattr(importlib.metadata, "version", missing)
    monkeypatch.setitem(sys.modules, "onnxruntime", type(sys)("onnxruntime"))
    assert choice.version("onnxruntime") == "unknown"
    sys.modules["onnxruntime"].__version__ = "1.2"
    assert choice.version("onnxruntime") == "1.2"
