"""ONNX models in memory: the stages of a fused model, and what is behind them, for engines that read ONNX."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mstl import __version__
from mstl.engines.onnx_graph import BATCH, IR_VERSION, OPSET, OnnxGraph
from mstl.models.fusing import FusedModel

if TYPE_CHECKING:  # an optional dependency
    import onnx

INPUT = "inputs"
ACTIVATIONS = "activations"
LOGITS = "logits"
FEATURES = "features"
Shape = tuple[int, ...]  # of one image or of its activations: channels, height, width


def features_model(fused: FusedModel, num_stages: int, image_shape: Shape) -> "onnx.ModelProto":
    """The first stages, as :meth:`mstl.models.fusing.FusedModel.compile_features` computes them.

    Args:
        fused: The model; its values are copied.
        num_stages: Number of stages.
        image_shape: (3, H, W).

    Returns:
        ``inputs``: (n, 3, H, W) normalised float32 images -> ``activations``: (n, C, h, w), or (n, C, 1, 1) averages
        over height and width if those are all the stages.
    """
    graph = OnnxGraph()
    graph.sizes[INPUT] = (image_shape[1], image_shape[2])
    cells = [cell for stage in fused.stages[:num_stages] for cell in stage]
    value = graph.run(cells, INPUT)
    if num_stages == len(fused.stages):
        graph.node("ReduceMean", value, axes=[2, 3], keepdims=1, output=ACTIVATIONS)
        sides: tuple[int, int] = (1, 1)
    else:
        graph.node("Identity", value, output=ACTIVATIONS)
        sides = graph.sizes[value]
    return make_model(graph, {INPUT: image_shape}, {ACTIVATIONS: ("channels", *sides)})


def classifier_model(fused: FusedModel, num_stages: int, input_shape: Shape) -> "onnx.ModelProto":
    """All behind the first stages, as :meth:`mstl.models.fusing.FusedModel.compile_classifier` computes it.

    Args:
        fused: The model; its values are copied.
        num_stages: Number of stages that have already run on the inputs.
        input_shape: (C, h, w) of the activations, or (3, H, W) of the images for 0 stages.

    Returns:
        ``inputs``: (n, *input_shape) float32 -> ``logits``: (n, classes) and ``features``: (n, num_features).
    """
    graph = OnnxGraph()
    graph.sizes[INPUT] = (input_shape[1], input_shape[2])
    cells = [cell for stage in fused.stages[num_stages:] for cell in stage]
    graph.mean(graph.run(cells, INPUT), output=FEATURES)
    graph.dense(fused.copy.fc, FEATURES, output=LOGITS)
    outputs = {LOGITS: (fused.copy.fc.out_channels,), FEATURES: (fused.copy.num_features,)}
    return make_model(graph, {INPUT: input_shape}, outputs)


def make_model(
    graph: OnnxGraph, inputs: Mapping[str, tuple[int | str, ...]], outputs: Mapping[str, tuple[int | str, ...]]
) -> "onnx.ModelProto":
    """A graph as a model for any number of images.

    Args:
        graph: The graph.
        inputs, outputs: Name and shape of each float32 value, without the dimension of the images.
    """
    import onnx
    from onnx import helper

    def values(shapes: Mapping[str, tuple[int | str, ...]]) -> "list[onnx.ValueInfoProto]":
        return [
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [BATCH, *shape])
            for name, shape in shapes.items()
        ]

    proto = helper.make_graph(graph.nodes, "model", values(inputs), values(outputs), graph.constants)
    opset = helper.make_opsetid("", OPSET)
    return helper.make_model(
        proto, opset_imports=[opset], ir_version=IR_VERSION, producer_name="mstl", producer_version=__version__
    )
