"""Weights in the files in which people have them: wrapped, prefixed, renamed, with all kinds of things beside them."""

import argparse
import collections
import enum
import functools
import logging
import pathlib
import tempfile
import zipfile

import mindspore as ms
import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import save_file

from mstl import MstlError, build_model
from mstl.checkpoint import read_safetensors
from mstl.commands import convert_command
from mstl.models.loading import read_weights
from tests.damaged_weights import CLASSES, results, shrink, torch_names
from tests.torch_writer import write_legacy, write_zip

LAYERS = ("layer1", "layer2", "layer3", "layer4")


@pytest.fixture(scope="module", autouse=True)
def small_model():
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch)
        yield


@pytest.fixture(scope="module")
def own():
    """Parameters of a small resnet18 by mstl's names."""
    rng = np.random.default_rng(3)
    parameters = build_model("resnet18", CLASSES).get_parameters()
    return {one.name: rng.uniform(0.5, 1.5, one.shape).astype(np.float32) for one in parameters}


@pytest.fixture(scope="module")
def state(own):
    """The same as PyTorch has them, with a counter of each BatchNorm."""
    counters = {"bn1.num_batches_tracked": np.array(7, np.int64)}
    return {**torch_names(own), **counters}


@pytest.fixture(params=[write_zip, write_legacy])
def write(request):
    return request.param


def prefixed(state, prefix):
    return {prefix + name: value for name, value in state.items()}


def body_of(state):
    return {name: value for name, value in state.items() if not name.startswith("fc.")}


def assert_loads(path, own, head=True):
    """The file gives a model the parameters that it should have: all, or all but the head's."""
    model = build_model("resnet18", CLASSES, str(path))
    for parameter in model.get_parameters():
        if head or not parameter.name.startswith("fc."):
            assert np.array_equal(parameter.asnumpy(), own[parameter.name]), parameter.name


@pytest.mark.parametrize(
    "keys",
    [
        ("model_state_dict",),
        ("state_dict",),
        ("net",),
        ("weights",),
        ("checkpoint", "model"),
        ("a", "b", "c", "anything"),
    ],
)
def test_any_wrapper(tmp_path, own, state, write, keys):
    root = state
    for key in reversed(keys):
        root = {"epoch": 3, key: root, "optimizer": {"state": {0: {"exp_avg": np.zeros(3, np.float32)}}}, "loss": 0.1}
    write(tmp_path / "x.pth", root)
    assert_loads(tmp_path / "x.pth", own)


@pytest.mark.parametrize(
    "prefix",
    [
        "module.",
        "model.",
        "_orig_mod.",
        "module._orig_mod.",
        "_orig_mod.module.",
        "backbone.",
        "encoder.net.body.",
        "0.",
    ],
)
def test_any_prefix(tmp_path, own, state, prefix):
    write_zip(tmp_path / "x.pth", {"state_dict": prefixed(state, prefix)})
    assert_loads(tmp_path / "x.pth", own)
    save_file(prefixed(state, prefix), tmp_path / "x.safetensors")
    assert_loads(tmp_path / "x.safetensors", own)


def test_wrappers_inside_names(tmp_path, own, state):
    inside = {name.replace("layer2.0.", "layer2.0._checkpoint_wrapped_module."): value for name, value in state.items()}
    write_zip(tmp_path / "x.pth", inside)
    assert_loads(tmp_path / "x.pth", own)


def test_a_checkpoint_of_a_mindspore_training_cell(tmp_path, own):
    values = prefixed(own, "network._backbone.") | prefixed(body_of(own), "moments.network._backbone.")
    values = {name: value for name, value in values.items() if not ("moments" in name and "moving" in name)}
    entries = [{"name": name, "data": ms.Tensor(value)} for name, value in values.items()]
    entries.append({"name": "learning_rate", "data": ms.Tensor(np.float32(0.1))})
    ms.save_checkpoint(entries, str(tmp_path / "x.ckpt"))
    assert read_weights(tmp_path / "x.ckpt").parameters.keys() == own.keys()


@pytest.mark.parametrize(
    "name", ["x.pth.tar", "X.PTH", "x.tar", "x", "x.ckpt", "x.bin", "x.safetensors", "x.h5", "x.pkl"]
)
def test_any_suffix(tmp_path, own, state, write, name):
    write(tmp_path / name, state)
    assert_loads(tmp_path / name, own)


def test_other_formats_under_other_names(tmp_path, own, state):
    save_file(state, tmp_path / "x.ckpt")
    assert_loads(tmp_path / "x.ckpt", own)
    ms.save_checkpoint(
        [{"name": name, "data": ms.Tensor(value)} for name, value in own.items()], str(tmp_path / "y.ckpt")
    )
    (tmp_path / "y.ckpt").rename(tmp_path / "y.pth")
    assert read_weights(tmp_path / "y.pth").parameters.keys() == own.keys()


@pytest.mark.parametrize(
    "head",
    [
        {"fc.1.weight": (5, 32), "fc.1.bias": (5,)},
        {"fc.0.weight": (8, 32), "fc.0.bias": (8,), "fc.3.weight": (5, 8), "fc.3.bias": (5,)},
        {"classifier.weight": (5, 32), "classifier.bias": (5,)},
        {"head.fc.weight": (5, 32), "last_linear.bias": (5,)},
        {"fc.weight": (5, 32)},
        {"fc.weight": (5, 32, 1, 1), "fc.bias": (5,)},
        {"fc.weight": (), "fc.bias": ()},
        {"fc.weight": (5, 32), "fc.weight_g": (5, 1)},
    ],
)
def test_any_head_is_left_out_and_said(tmp_path, own, state, caplog, head):
    values = {name: np.ones(shape, np.float32) for name, shape in head.items()}
    write_zip(tmp_path / "x.pth", {**body_of(state), **values})
    with caplog.at_level(logging.INFO, "mstl"):
        assert_loads(tmp_path / "x.pth", own, head=False)
    assert f"left out, as no part of the body: {', '.join(head)}" in caplog.text
    assert "x.pth has no head: the model gets a new one of 5" in caplog.text


def test_heads_outside_the_prefix(tmp_path, own, state, caplog):
    values = {**prefixed(body_of(state), "backbone."), "head.weight": np.ones((5, 32), np.float32)}
    write_zip(tmp_path / "x.pth", values)
    with caplog.at_level(logging.INFO, "mstl"):
        assert_loads(tmp_path / "x.pth", own, head=False)
    assert "left out, as no part of the body: head.weight" in caplog.text


@pytest.mark.parametrize("name", ["layer1.1.conv1.weight", "layer1.0.se.fc.weight", "bn2.weight", "conv1.bias"])
def test_what_belongs_to_another_body_is_refused(tmp_path, state, name):
    write_zip(tmp_path / "x.pth", {**state, name: np.ones((4, 4, 3, 3), np.float32)})
    with pytest.raises(MstlError, match=r"1 unexpected \("):
        build_model("resnet18", CLASSES, str(tmp_path / "x.pth"))


class Settings(enum.Enum):
    FAST = 1


class Config:
    """A class of the user's own, with all that a pickle can give to an object."""

    def __init__(self):
        self.items = {"lr": 0.1, "tensor": np.ones(3, np.float32)}

    def __reduce__(self):
        return Config, (), ({"a": 1}, {"b": 2}), iter([1, 2]), iter([("k", "v")])

    def append(self, item):
        raise AssertionError("called")


class Trap:
    """Asks for a call that is in no list of dangerous ones."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return tempfile.mkdtemp, (None, "it-ran", str(self.folder))


OBJECTS = {
    "argparse.Namespace": argparse.Namespace(lr=0.1, out=pathlib.Path("/runs")),
    "numpy": np.float64(70.5),
    "collections.Counter": collections.Counter("aab"),
    "Settings": Settings.FAST,
    "Config": Config(),
    "builtins.set": {1, 2},
    "functools.partial": functools.partial(print, 1),
    "builtins.getattr": getattr,
}


@pytest.mark.parametrize("kind", OBJECTS)
def test_objects_beside_the_tensors_are_skipped_and_said(tmp_path, own, state, write, caplog, kind):
    write(tmp_path / "x.pth", {"args": OBJECTS[kind], "state_dict": state, "again": [OBJECTS[kind]]})
    with caplog.at_level(logging.INFO, "mstl"):
        assert_loads(tmp_path / "x.pth", own)
    assert "objects beside the tensors are left out, and nothing of them was run" in caplog.text
    assert kind in caplog.text


def test_nothing_is_called(tmp_path, own, state, write):
    write(tmp_path / "x.pth", {"state_dict": state, "args": Trap(tmp_path)})
    assert_loads(tmp_path / "x.pth", own)
    assert [path.name for path in tmp_path.iterdir()] == ["x.pth"]


def test_a_safetensors_file_is_read_in_the_same_order_by_each_process(tmp_path):
    names = [f"layer{number:02}" for number in range(30)]
    save_file({name: np.zeros(1, np.float32) for name in reversed(names)}, tmp_path / "x.safetensors")
    assert list(read_safetensors(tmp_path / "x.safetensors")[0]) == names


def test_of_several_models_an_average_is_taken_or_the_first_and_said(tmp_path, own, state, caplog):
    other = {name: np.asarray(value * 2) for name, value in state.items()}
    for root in ({"state_dict": other, "model_ema": state}, {"student": state, "teacher": other}):
        write_zip(tmp_path / "x.pth", root)
        with caplog.at_level(logging.INFO, "mstl"):
            assert_loads(tmp_path / "x.pth", own)
    assert "the model under 'model_ema' is taken, not that under 'state_dict'" in caplog.text
    assert "the model under 'student' is taken, not that under 'teacher'" in caplog.text
    save_file(prefixed(state, "encoder_q.") | prefixed(other, "queue.encoder_k."), tmp_path / "x.safetensors")
    with caplog.at_level(logging.INFO, "mstl"):
        assert_loads(tmp_path / "x.safetensors", own)
    assert "the model with the prefix 'encoder_q.' is taken, not that with 'queue.encoder_k.'" in caplog.text


def as_hugging_face(state):
    """The names of ResNetForImageClassification, for one block a stage."""
    kinds = {"conv": "convolution", "bn": "normalization"}
    names = {"fc.weight": "classifier.1.weight", "fc.bias": "classifier.1.bias"}
    for name in state:
        first, *_, array = parts = name.split(".")
        if first in ("conv1", "bn1"):
            names[name] = f"resnet.embedder.embedder.{kinds[first[:-1]]}.{array}"
        elif first in LAYERS:
            block = f"resnet.encoder.stages.{LAYERS.index(first)}.layers.0"
            if parts[2] == "downsample":
                names[name] = f"{block}.shortcut.{('convolution', 'normalization')[int(parts[3])]}.{array}"
            else:
                names[name] = f"{block}.layer.{int(parts[2][-1]) - 1}.{kinds[parts[2][:-1]]}.{array}"
    return {names[name]: value for name, value in state.items()}


def as_sequential(state):
    """The names of a backbone whose children were put into an nn.Sequential: conv1, bn1, relu, maxpool, layers."""
    numbers = {"conv1": 0, "bn1": 1, **{layer: number for number, layer in enumerate(LAYERS, start=4)}}
    pairs = ((name.split(".", 1), value) for name, value in body_of(state).items())
    return {f"features.{numbers[first]}.{rest}": value for (first, rest), value in pairs}


@pytest.mark.parametrize("rename", [as_hugging_face, as_sequential])
def test_other_spellings(tmp_path, own, state, rename):
    write_zip(tmp_path / "x.pth", prefixed(rename(state), "model."))
    weights = read_weights(tmp_path / "x.pth")
    assert (weights.layout, weights.padding, weights.pool_padding) == ("torchvision", "symmetric", "symmetric")
    assert_loads(tmp_path / "x.pth", own, head=False)


def test_a_missing_parameter_is_no_conversion_either(tmp_path, state):
    write_zip(tmp_path / "x.pth", state_without(state, "layer3.0.bn2.running_mean"))
    done = CliRunner().invoke(convert_command.main, [str(tmp_path / "x.pth"), str(tmp_path / "out.ckpt")])
    assert done.exit_code == 1 and "1 missing (layer3.0.norm2.moving_mean)" in done.stderr
    assert done.stderr.count("\n") == 1 and not (tmp_path / "out.ckpt").exists()


def state_without(state, *names):
    return {name: value for name, value in state.items() if name not in names}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda value: value.astype(np.int8), "has values of type int8, as if the weights were quantised"),
        (lambda value: value.astype(np.float64) * 1e300, "has values that are not finite"),
        (lambda value: value * np.float32("nan"), "has values that are not finite"),
        (lambda value: -value, "has negative variances, so it is damaged"),
    ],
)
def test_numbers_that_no_model_can_use(tmp_path, state, change, message):
    name = "layer1.0.bn1.running_var"
    save_file({**state, name: change(state[name])}, tmp_path / "x.safetensors")
    with pytest.raises(MstlError, match=f"layer1.0.norm1.moving_variance {message}"):
        read_weights(tmp_path / "x.safetensors")


def test_too_large_for_half(tmp_path, state):
    save_file({**state, "conv1.weight": state["conv1.weight"] * 1e6}, tmp_path / "x.safetensors")
    arguments = [str(tmp_path / "x.safetensors"), str(tmp_path / "out.ckpt")]
    assert CliRunner().invoke(convert_command.main, arguments).exit_code == 0
    done = CliRunner().invoke(convert_command.main, [*arguments, "--half"])
    assert done.exit_code == 1 and "conv1.weight has values that are too large for float16" in done.stderr


def rewrite(path, old, new):
    """Replace bytes of the pickle in a zip."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    assert old in parts["archive/data.pkl"]
    parts["archive/data.pkl"] = parts["archive/data.pkl"].replace(old, new)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("_rebuild_sparse_tensor", "a tensor conv1.weight that is sparse; make it dense"),
        ("_rebuild_qtensor", "a tensor conv1.weight that is quantised; save the weights as they were before"),
        (
            "_rebuild_of_the_future",
            "a tensor conv1.weight that is of a kind unknown here .torch._utils._rebuild_of_the_f",
        ),
    ],
)
def test_tensors_of_other_kinds_are_named(tmp_path, state, function, message):
    write_zip(tmp_path / "x.pth", {"state_dict": {"conv1.weight": state["conv1.weight"], **state}})
    rewrite(tmp_path / "x.pth", b"_rebuild_tensor_v2", function.encode())
    with pytest.raises(MstlError, match=message):
        read_weights(tmp_path / "x.pth")


@pytest.mark.parametrize(
    ("root", "message"),
    [
        ([np.ones(3, np.float32)], "holds one object of type list, no dict of tensors"),
        ({}, "holds an empty dict"),
        (Config(), r"is a whole pickled object, such as a model \(.*Config\), and no dict of tensors"),
        ({"model": Config(), "epoch": 1}, r"no model's tensors, but 'model', 'epoch' \('model' holds .*Config\)"),
        ({"features.0.weight": np.ones(3, np.float32)}, "of no layout that mstl knows .such as features.0.weight"),
        (np.ones(3, np.float32), "is a single tensor"),
    ],
)
def test_what_holds_no_model_says_what_it_holds(tmp_path, write, root, message):
    write(tmp_path / "x.pth", root)
    with pytest.raises(MstlError, match=message) as caught:
        read_weights(tmp_path / "x.pth")
    assert "damaged" not in str(caught.value) and "\n" not in str(caught.value)


def test_damaged_files_are_loaded_or_refused_without_a_crash_or_much_memory():
    """Among these is a file from which Python's own unpickler would reserve all memory."""
    outcomes = collections.Counter(outcome for (_, _, outcome), _ in results(range(1870, 1920)))
    assert sum(outcomes.values()) == 50 and outcomes["refused"] > 30
    assert not any(outcome.startswith("WRONG") for outcome in outcomes)
