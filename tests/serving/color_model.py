"""A model of three colours as ``mstl export`` would write it, made without a training: it sees mean colours."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import mstl
from mstl.engines.export_record import ExportRecord, RejectionLimits

CLASSES = ("blue", "green", "红")
SIDE = 32
WEIGHTS = np.eye(3, dtype=np.float32)[::-1] / 32  # of red, green and blue, for each class
PREPROCESSING = mstl.Preprocessing().at(SIDE)
LIMIT = 160.0  # of the distance between the mean colours of an image and of grey
COLORS = {"blue": (30, 60, 200), "green": (50, 180, 60), "红": (210, 50, 40)}
UNKNOWN = (255, 0, 0)  # too far from grey


def write_model(path, classes=CLASSES, rejects=True):
    """Write an .onnx file whose answers :func:`probabilities` gives, too."""
    record = ExportRecord(
        "resnet18", classes, PREPROCESSING, rejection=RejectionLimits(LIMIT, 0.0, 1) if rejects else None
    )
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats"], ["features"], axes=[1, 2], keepdims=0),
        helper.make_node("MatMul", ["features", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        helper.make_node("Sub", ["features", "grey"], ["difference"]),
        helper.make_node("ReduceL2", ["difference"], ["distance"], axes=[1], keepdims=0),
    ]
    outputs = [("probabilities", ["n", 3]), ("features", ["n", 3]), *[("distance", ["n"])] * rejects]
    graph = helper.make_graph(
        nodes if rejects else nodes[:4],
        "colors",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", SIDE, SIDE, 3])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs],
        [
            numpy_helper.from_array(WEIGHTS, "weights"),
            *[numpy_helper.from_array(np.full(3, 128, np.float32), "grey")] * rejects,
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    helper.set_model_props(model, record.to_properties())
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path


def probabilities(color):
    """The probability of each class for an image of one colour."""
    powers = np.exp(np.asarray(color, float) @ WEIGHTS)
    return dict(zip(CLASSES, powers / powers.sum(), strict=True))
