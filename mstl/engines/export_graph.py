"""The ONNX model that mstl export writes: from the pixels of images to probabilities, features and distance."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mstl.data.loading.pixels import scaled_mean_std
from mstl.engines.exported_model import DISTANCE, FEATURES, IMAGES, PROBABILITIES
from mstl.engines.onnx_graph import OnnxGraph
from mstl.engines.onnx_model import make_model
from mstl.models.fusing import FusedModel
from mstl.preprocessing import Preprocessing

if TYPE_CHECKING:  # an optional dependency
    import onnx

FARTHEST = 2.0  # distance between two features of length 1


@dataclass(frozen=True)
class ModelParts:
    """What an exported model computes with.

    Attributes:
        fused: The model.
        preprocessing: By which it normalises pixels of ``image_size``.
        temperature: By which it divides its logits.
        bank: (M, F) features of known images, each of length 1; None for a model without ``distance``.
        neighbours: The nearest of these whose distances are averaged.
    """

    fused: FusedModel
    preprocessing: Preprocessing
    temperature: float
    bank: NDArray[np.float16] | None
    neighbours: int


def onnx_export(parts: ModelParts, properties: Mapping[str, str]) -> "onnx.ModelProto":
    """Write a model down as ONNX.

    Args:
        parts: The model.
        properties: What its metadata say.

    Returns:
        ``images``: (n, size, size, 3) uint8 -> ``probabilities``: (n, classes), ``features``: (n, num_features) and,
        with a bank, ``distance``: (n,).
    """
    return completed(backbone_graph(parts), parts, properties)


def backbone_graph(parts: ModelParts) -> OnnxGraph:
    """What leads from ``images`` to ``features``."""
    graph = OnnxGraph()
    value = graph.run((cell for stage in parts.fused.stages for cell in stage), normalised(graph, parts.preprocessing))
    graph.mean(value, output=FEATURES)
    return graph


def backbone_model(parts: ModelParts) -> "onnx.ModelProto":
    """The same as a model: (n, size, size, 3) uint8 -> (n, num_features)."""
    return pixels_model(backbone_graph(parts), parts, {FEATURES: (parts.fused.copy.num_features,)})


def completed(graph: OnnxGraph, parts: ModelParts, properties: Mapping[str, str]) -> "onnx.ModelProto":
    """What :func:`onnx_export` writes, from a graph that leads from ``images`` to ``features``."""
    import onnx
    from onnx import helper

    model = parts.fused.copy
    logits = graph.dense(model.fc, FEATURES)
    calibrated = graph.node("Div", logits, graph.constant(np.array(parts.temperature, np.float32)))
    graph.node("Softmax", calibrated, output=PROBABILITIES, axis=1)
    outputs: dict[str, tuple[int | str, ...]] = {
        PROBABILITIES: (model.fc.out_channels,),
        FEATURES: (model.num_features,),
    }
    if parts.bank is not None:
        distance(graph, parts.bank, parts.neighbours)
        outputs[DISTANCE] = ()
    exported = pixels_model(graph, parts, outputs)
    helper.set_model_props(exported, dict(properties))
    onnx.checker.check_model(exported, full_check=True)
    return exported


def pixels_model(
    graph: OnnxGraph, parts: ModelParts, outputs: Mapping[str, tuple[int | str, ...]]
) -> "onnx.ModelProto":
    """A graph as a model that takes pixels."""
    import onnx

    side = parts.preprocessing.image_size
    model = make_model(graph, {IMAGES: (side, side, 3)}, outputs)
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.UINT8
    return model


def normalised(graph: OnnxGraph, preprocessing: Preprocessing) -> str:
    """Add what makes (n, 3, size, size) inputs of the pixels."""
    import onnx

    mean, std = (np.array(values, np.float32)[:, None, None] for values in scaled_mean_std(preprocessing))
    numbers = graph.node("Cast", IMAGES, to=onnx.TensorProto.FLOAT)
    planes = graph.node("Transpose", numbers, perm=[0, 3, 1, 2])
    value = graph.node("Div", graph.node("Sub", planes, graph.constant(mean)), graph.constant(std))
    graph.sizes[value] = (preprocessing.image_size, preprocessing.image_size)
    return value


def distance(graph: OnnxGraph, bank: NDArray[np.float16], neighbours: int) -> None:
    """Add the mean distance of the features to the nearest of a bank, as the rejector computes it."""
    import onnx
    from onnx import helper

    def number(value: Any) -> str:
        return graph.constant(np.array(value, np.float32))

    lengths = graph.node("ReduceL2", FEATURES, axes=[1], keepdims=1)
    scaled = graph.node("Div", FEATURES, graph.node("Max", lengths, number(np.finfo(np.float32).tiny)))  # zeros stay
    known = graph.node("Cast", graph.constant(bank.T), to=onnx.TensorProto.FLOAT)
    twice = graph.node("Mul", graph.node("MatMul", scaled, known), number(2))
    squares = graph.node("Clip", graph.node("Sub", number(2), twice), number(0), number(FARTHEST**2))
    count = graph.constant(np.array([neighbours], np.int64))
    inputs, nearest = [graph.node("Sqrt", squares), count], "nearest"
    graph.nodes.append(helper.make_node("TopK", inputs, [nearest, "places"], name="nearest", axis=1, largest=0))
    graph.node("ReduceMean", nearest, output=DISTANCE, axes=[1], keepdims=0)
