"""Quantising: the convolutions of a backbone in 8-bit integers, by ONNX Runtime's static quantisation."""

import contextlib
import io
import logging
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mstl.engines.exported_model import IMAGES

if TYPE_CHECKING:  # an optional dependency
    import onnx

QUANTISED = ["Conv", "Relu", "Clip", "Add", "MaxPool"]  # the backbone; what is before and behind it stays float32


class CalibrationImages:
    """Pixels, as ONNX Runtime's calibration asks for them: once, in batches.

    Args:
        batches: Each (n, size, size, 3).
    """

    def __init__(self, batches: Iterable[NDArray[np.uint8]]) -> None:
        self.batches = iter(batches)

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        """The inputs of the next batch; None after the last."""
        pixels = next(self.batches, None)
        return None if pixels is None else {IMAGES: pixels}


def quantised(backbone: "onnx.ModelProto", batches: Iterable[NDArray[np.uint8]]) -> "onnx.ModelProto":
    """A model whose convolutions multiply int8 weights, with a scale for each channel, by uint8 activations.

    The smallest and the largest value that an activation has for the given images become its ends.

    Args:
        backbone: From pixels to features, in float32.
        batches: Pixels to calibrate on, each (n, size, size, 3).

    Returns:
        A model with the same inputs and outputs, which has QuantizeLinear and DequantizeLinear between its nodes.
    """
    import onnx

    with tempfile.TemporaryDirectory(prefix="mstl-int8-") as folder, quiet():
        from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
        from onnxruntime.quantization.shape_inference import quant_pre_process

        original, prepared, done = (str(Path(folder, f"{name}.onnx")) for name in ("fp32", "prepared", "int8"))
        onnx.save(backbone, original)
        quant_pre_process(original, prepared, skip_symbolic_shape=True)  # which needs SymPy, for dynamic shapes
        quantize_static(
            prepared,
            done,
            CalibrationImages(batches),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=QUANTISED,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=first_layers(backbone.graph),
        )
        model = onnx.load(done)
    share_integers(model.graph)
    return model


def first_layers(graph: "onnx.GraphProto") -> list[str]:
    """The convolutions that stay float32: up to the first depthwise one, in a model that has such.

    The ranges of its channels differ by so much that one scale for all costs more than the layers are worth: of
    EfficientNet-Lite0 on 153 images, probabilities change by up to 0.04 without them, and 0.18 with them.
    """
    channels = {constant.name: constant.dims for constant in graph.initializer}
    names = []
    for node in graph.node:
        if node.op_type == "Conv":
            names.append(node.name)
            groups = next((each.i for each in node.attribute if each.name == "group"), 1)
            if groups > 1 and channels[node.input[1]][1] == 1:
                return names
    return []


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """What ONNX Runtime's quantisation prints, and logs by the root logger, reaches nobody in this block."""
    root = logging.getLogger()
    handlers, root.handlers = root.handlers, [logging.NullHandler()]
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        root.handlers = handlers


def share_integers(graph: "onnx.GraphProto") -> None:
    """Keep one of equal int32 constants: of the zeros, that is, of which each bias has one for each channel.

    Those of int8 weights stay apart, as ONNX Runtime replaces each by itself on a processor without VNNI.
    """
    import onnx

    kept: dict[object, onnx.TensorProto] = {}
    renamed = {}
    for constant in graph.initializer:
        values = onnx.numpy_helper.to_array(constant)
        key = (values.shape, values.tobytes()) if values.dtype == np.int32 else constant.name
        renamed[constant.name] = kept.setdefault(key, constant).name
    for node in graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
    constants = list(kept.values())
    del graph.initializer[:]
    graph.initializer.extend(constants)
