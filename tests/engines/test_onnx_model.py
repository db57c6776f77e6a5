"""Models in memory, cut at any stage, against the stages themselves in MindSpore."""

import mindspore as ms
import numpy as np
import pytest

import mstl
from mstl.models.fusing import FusedModel

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from mstl.engines.onnx_model import classifier_model, features_model  # noqa: E402
from mstl.engines.onnxruntime_session import open_session  # noqa: E402


@pytest.fixture(scope="module")
def model():
    made = mstl.build_model("efficientnet_lite0", 3)
    made.set_train(False)
    return made


@pytest.fixture(scope="module")
def fused(model):
    return FusedModel(model)


@pytest.mark.parametrize("stages", [1, 3, 5])
def test_two_halves_are_the_whole(model, fused, stages):
    images = np.random.default_rng(0).normal(size=(3, 3, 64, 64)).astype(np.float32)
    x = ms.Tensor(images)
    for cells in list(model.stages().values())[:stages]:
        for cell in cells:
            x = cell(x)
    front = features_model(fused, stages, (3, 64, 64))
    onnx.checker.check_model(front, full_check=True)
    (activations,) = open_session(front.SerializeToString()).run(None, {"inputs": images})
    expected = x.asnumpy() if stages < 5 else x.asnumpy().mean((2, 3), keepdims=True)
    np.testing.assert_allclose(activations, expected, atol=2e-5 * np.abs(expected).max())

    rest = classifier_model(fused, stages, activations.shape[1:])
    onnx.checker.check_model(rest, full_check=True)
    outputs = open_session(rest.SerializeToString()).run(["logits", "features"], {"inputs": activations})
    answers = model(ms.Tensor(images)).asnumpy(), model.forward_features(ms.Tensor(images)).asnumpy().mean((2, 3))
    for output, answer in zip(outputs, answers, strict=True):
        np.testing.assert_allclose(output, answer, atol=2e-5 * np.abs(answer).max())


def test_a_session_opens_a_file_too(fused, tmp_path):
    file = tmp_path / "front.onnx"
    file.write_bytes(features_model(fused, 5, (3, 64, 64)).SerializeToString())
    assert open_session(file).get_inputs()[0].shape == ["batch", 3, 64, 64]
