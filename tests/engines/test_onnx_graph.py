"""The ONNX graph of a model, computed by ONNX Runtime, against the model itself in MindSpore."""

import mindspore as ms
import numpy as np
import pytest

import mstl
from mstl.models.fusing import FusedModel
from mstl.models.resnet import ResNet

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from mstl.engines.onnx_graph import BATCH, IR_VERSION, OPSET, OnnxGraph  # noqa: E402

MODELS = [
    ("resnet18", "symmetric", "symmetric"),
    ("resnet18", "same", "same"),
    ("resnet50", "symmetric", "same"),
    ("resnext50_32x4d", "same", "same"),
    ("efficientnet_lite0", "same", "same"),
]


def session_of(fused, size, num_classes=3):
    """ONNX Runtime with the whole model: images to features and logits."""
    graph = OnnxGraph()
    graph.sizes["images"] = (size, size)
    activations = graph.run([cell for stage in fused.stages for cell in stage], "images")
    graph.dense(fused.copy.fc, graph.mean(activations, output="features"), output="logits")
    shapes = {"features": fused.model.num_features, "logits": num_classes}
    image = onnx.helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, [BATCH, 3, size, size])
    outputs = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [BATCH, count])
        for name, count in shapes.items()
    ]
    proto = onnx.helper.make_graph(graph.nodes, "model", [image], outputs, graph.constants)
    model = onnx.helper.make_model(proto, opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model, full_check=True)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize(("name", "padding", "pool_padding"), MODELS)
@pytest.mark.parametrize("size", [64, 75])
def test_the_graph_computes_what_the_model_computes(name, padding, pool_padding, size, monkeypatch):
    """At an even and an odd size, whose "same" padding differs; in batches of any size."""
    monkeypatch.setattr(ResNet, "width", 16)
    rng = np.random.default_rng(1)
    model = mstl.build_model(name, 3, None, padding, pool_padding)
    for parameter in model.get_parameters():  # statistics that are not 0 and 1
        if "moving" in parameter.name:
            parameter.set_data(ms.Tensor(rng.uniform(0.5, 1.5, parameter.shape).astype(np.float32)))
    model.set_train(False)
    session = session_of(FusedModel(model), size)
    for count in (1, 2, 7):
        images = rng.normal(size=(count, 3, size, size)).astype(np.float32)
        features, logits = session.run(["features", "logits"], {"images": images})
        expected = model(ms.Tensor(images)).asnumpy()
        assert np.abs(logits - expected).max() <= 2e-5 * np.abs(expected).max()
        pooled = model.forward_features(ms.Tensor(images)).asnumpy().mean(axis=(2, 3))
        assert np.abs(features - pooled).max() <= 2e-5 * np.abs(pooled).max()


def test_what_has_no_nodes_is_named():
    with pytest.raises(TypeError, match="no ONNX nodes for GELU"):
        OnnxGraph().run([ms.nn.GELU()], "images")
