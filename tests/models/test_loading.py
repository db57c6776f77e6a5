"""Weights into nets: strictly, or not at all."""

import logging

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import save_file

import mstl
from mstl import MstlError, Preprocessing
from mstl.checkpoint import save_checkpoint
from mstl.commands import convert_command
from mstl.models.loading import read_weights

RECORD = {"padding": "symmetric", "pool_padding": "symmetric", "preprocessing": Preprocessing().to_dict()}


def arrays(net):
    return {parameter.name: parameter.asnumpy() for parameter in net.get_parameters()}


@pytest.fixture(scope="module")
def donor():
    """A ResNet-18 of 5 classes as a dict of arrays, its statistics moved from where they start."""
    rng = np.random.default_rng(0)
    values = arrays(mstl.resnet18(num_classes=5))
    for name, value in values.items():
        if "moving" in name:
            values[name] = rng.uniform(0.5, 1.5, value.shape).astype(np.float32)
    return values


@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors"])
def test_everything_is_loaded(tmp_path, donor, suffix):
    path = tmp_path / f"net{suffix}"
    save_checkpoint(path, donor, RECORD)
    net = mstl.resnet18(num_classes=5, weights=path)
    loaded = arrays(net)
    assert loaded.keys() == donor.keys()
    assert all(np.array_equal(loaded[name], donor[name]) for name in donor)


def test_head_of_another_size_stays_new_and_is_said(tmp_path, donor, caplog):
    save_checkpoint(tmp_path / "net.ckpt", donor, RECORD)
    with caplog.at_level(logging.INFO, "mstl"):
        net = mstl.resnet18(num_classes=2, weights=tmp_path / "net.ckpt")
    assert "has a head of 5 classes: the model gets a new one of 2" in caplog.text
    assert net.fc.weight.shape == (2, 512)
    assert np.array_equal(net.conv1.weight.asnumpy(), donor["conv1.weight"])


def test_head_may_be_absent(tmp_path, donor, caplog):
    body = {name: value for name, value in donor.items() if not name.startswith("fc.")}
    save_checkpoint(tmp_path / "net.ckpt", body, RECORD)
    with caplog.at_level(logging.INFO, "mstl"):
        mstl.resnet18(num_classes=2, weights=tmp_path / "net.ckpt")
    assert "has no head" in caplog.text


def test_float16_files_fill_float32_nets(tmp_path, donor):
    save_checkpoint(
        tmp_path / "net.safetensors", {name: value.astype(np.float16) for name, value in donor.items()}, RECORD
    )
    net = mstl.resnet18(num_classes=5, weights=tmp_path / "net.safetensors")
    assert str(net.conv1.weight.dtype) == "Float32"
    assert net.conv1.weight.asnumpy() == pytest.approx(donor["conv1.weight"], abs=1e-3)


def broken(donor, change):
    values = dict(donor)
    change(values)
    return values


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v.pop("layer2.0.norm1.beta"), "1 missing .layer2.0.norm1.beta"),
        (lambda v: v.update({"layer9.weight": np.zeros(1, np.float32)}), "1 unexpected .layer9.weight"),
        (lambda v: v.update({"conv1.weight": np.zeros((64, 1, 7, 7), np.float32)}), "1 of another shape .conv1.weight"),
    ],
)
def test_any_difference_of_the_body_is_refused(tmp_path, donor, change, message):
    save_checkpoint(tmp_path / "net.ckpt", broken(donor, change), RECORD)
    with pytest.raises(MstlError, match=f"does not fit the model: parameters {message}") as caught:
        mstl.resnet18(num_classes=5, weights=tmp_path / "net.ckpt")
    assert "\n" not in str(caught.value)


def test_another_architecture_is_named(tmp_path):
    save_checkpoint(tmp_path / "net.ckpt", arrays(mstl.resnet34(num_classes=2)), RECORD)
    with pytest.raises(MstlError, match="net.ckpt is a resnet34; use --model resnet34"):
        mstl.resnet18(weights=tmp_path / "net.ckpt")


def test_padding_comes_from_the_record(tmp_path, donor):
    save_checkpoint(tmp_path / "net.ckpt", donor, {**RECORD, "padding": "same", "pool_padding": "same"})
    net = mstl.resnet18(num_classes=5, weights=tmp_path / "net.ckpt")
    assert (net.padding, net.pool_padding) == ("same", "same")


def test_padding_without_a_record_is_the_tutorials(tmp_path, donor):
    import mindspore as ms

    entries = [{"name": name, "data": ms.Tensor(value)} for name, value in donor.items()]
    ms.save_checkpoint(entries, str(tmp_path / "tutorial.ckpt"))
    assert read_weights(tmp_path / "tutorial.ckpt").padding == "same"
    with pytest.raises(MstlError, match="was trained with padding 'same'"):
        mstl.load_weights(mstl.resnet18(num_classes=5, padding="symmetric"), tmp_path / "tutorial.ckpt")


def test_names_of_no_layout(tmp_path):
    save_checkpoint(tmp_path / "net.ckpt", {"encoder.weight": np.zeros(3, np.float32)}, RECORD)
    with pytest.raises(MstlError, match="no layout that mstl knows .such as encoder.weight"):
        read_weights(tmp_path / "net.ckpt")


def test_preprocessing_comes_from_the_record(tmp_path, donor):
    own = Preprocessing(image_size=128, resize=144, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    save_checkpoint(tmp_path / "net.ckpt", donor, {**RECORD, "preprocessing": own.to_dict()})
    assert mstl.resnet18(num_classes=5, weights=tmp_path / "net.ckpt").preprocessing == own


@pytest.mark.parametrize(
    "record", [{}, {**RECORD, "preprocessing": {"size": 3}}, {**RECORD, "preprocessing": None}, [1]]
)
def test_a_record_of_another_kind_is_one_line(tmp_path, donor, record):
    save_checkpoint(tmp_path / "net.ckpt", donor, record)
    with pytest.raises(MstlError, match="has a record that mstl cannot read"):
        read_weights(tmp_path / "net.ckpt")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(tmp_path, donor, value):
    path = tmp_path / "weights.safetensors"
    save_file({**donor, "layer1.0.norm1.moving_variance": np.full(64, value, np.float32)}, path)
    message = "layer1.0.norm1.moving_variance has values that are not finite"
    with pytest.raises(MstlError, match=message):
        mstl.resnet18(num_classes=2, weights=path)
    done = CliRunner().invoke(convert_command.main, [str(path), str(tmp_path / "converted.ckpt")])
    assert done.exit_code == 1 and message in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "converted.ckpt").exists()
