"""OnnxGraph: the cells of a fused model, written down as the nodes of an ONNX graph."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from mindspore import nn
from numpy.typing import NDArray

from mstl.models.efficientnet_lite import InvertedResidual
from mstl.models.layers import MaxPool3x3
from mstl.models.resnet import BasicBlock, Bottleneck

if TYPE_CHECKING:  # an optional dependency
    import onnx

OPSET = 17  # of ONNX 1.12, 2022
IR_VERSION = 8  # the same
BATCH = "batch"  # name of the dimension that any number of images may have


class OnnxGraph:
    """A graph that grows by the cells it is given.

    Values between nodes go by name; of each (N, C, H, W) value the graph knows height and width, by which the padding
    of "same" convolutions is worked out.

    Args:
        beginning: A model that it begins with, whose names do not begin with "then_"; empty by default.

    Attributes:
        nodes: In an order in which they can be computed.
        constants: Initializers of the graph.
    """

    def __init__(self, beginning: "onnx.ModelProto | None" = None) -> None:
        self.nodes: list[onnx.NodeProto] = [] if beginning is None else list(beginning.graph.node)
        self.constants: list[onnx.TensorProto] = [] if beginning is None else list(beginning.graph.initializer)
        self.prefix = "" if beginning is None else "then_"
        self.sizes: dict[str, tuple[int, int]] = {}

    def constant(self, value: NDArray[Any]) -> str:
        """Keep an array in the graph; its name."""
        from onnx import numpy_helper

        name = f"{self.prefix}constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, kind: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """Add a node of one output; the output's name."""
        from onnx import helper

        output = output or f"{self.prefix}value{len(self.nodes)}"
        name = f"{self.prefix}{kind}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], name=name, **attributes))
        if inputs[0] in self.sizes:
            self.sizes[output] = self.sizes[inputs[0]]
        return output

    def windowed(self, kind: str, *inputs: str, kernel: int, stride: int, same: bool, **attributes: Any) -> str:
        """Add a convolution or a pooling with a square kernel, padded "same" or by half of the kernel."""
        height, width = self.sizes[inputs[0]]
        lengths = [-(-length // stride) for length in (height, width)]
        pads = [kernel // 2] * 4  # top, left, bottom, right
        if same:  # as TensorFlow: the odd row at the bottom, the odd column on the right
            total = [max(0, (out - 1) * stride + kernel - n) for out, n in zip(lengths, (height, width), strict=True)]
            pads = [*(number // 2 for number in total), *(number - number // 2 for number in total)]
        attributes |= {"kernel_shape": [kernel, kernel], "strides": [stride, stride], "pads": pads}
        output = self.node(kind, *inputs, output=None, **attributes)
        self.sizes[output] = (lengths[0], lengths[1])
        return output

    def run(self, cells: Iterable[nn.Cell], value: str) -> str:
        """Add cells that run one after the other on a value; the name of what they give."""
        for cell in cells:
            value = self.cell(cell, value)
        return value

    def cell(self, cell: nn.Cell, value: str) -> str:
        """Add one cell.

        Raises:
            TypeError: It is of a kind that no fused model has.
        """
        if isinstance(cell, (nn.SequentialCell, nn.CellList)):
            return self.run(cell, value)
        for kind, write in WRITERS.items():
            if isinstance(cell, kind):
                return write(self, cell, value)
        raise TypeError(f"no ONNX nodes for {type(cell).__name__}")

    def mean(self, value: str, **options: Any) -> str:
        """Add the average over height and width: (N, C, H, W) -> (N, C)."""
        return self.node("ReduceMean", value, axes=[2, 3], keepdims=0, **options)

    def dense(self, cell: nn.Dense, value: str, **options: Any) -> str:
        """Add a fully connected layer: (N, features) -> (N, outputs)."""
        weight, bias = self.constant(cell.weight.asnumpy()), self.constant(cell.bias.asnumpy())
        return self.node("Gemm", value, weight, bias, transB=1, **options)


def convolution(graph: OnnxGraph, conv: nn.Conv2d, value: str) -> str:
    """A convolution, with the bias that its BatchNorm became."""
    inputs = [value, graph.constant(conv.weight.asnumpy())]
    if conv.has_bias:
        inputs.append(graph.constant(conv.bias.asnumpy()))
    kernel, stride = conv.kernel_size[0], conv.stride[0]
    return graph.windowed("Conv", *inputs, kernel=kernel, stride=stride, same=conv.pad_mode == "same", group=conv.group)


def relu6(graph: OnnxGraph, cell: nn.Cell, value: str) -> str:
    """Values from 0 to 6."""
    low, high = (graph.constant(np.array(limit, np.float32)) for limit in (0, 6))
    return graph.node("Clip", value, low, high)


def max_pool(graph: OnnxGraph, cell: MaxPool3x3, value: str) -> str:
    """The pool of a ResNet's stem. ONNX pads with the smallest number, which is as good as zeros behind a ReLU."""
    return graph.windowed("MaxPool", value, kernel=3, stride=2, same=not cell.symmetric)


def residual_block(graph: OnnxGraph, block: BasicBlock | Bottleneck, value: str) -> str:
    """Convolutions with a ReLU between them, and one behind the shortcut."""
    convs = [block.conv1, block.conv2, *([block.conv3] if isinstance(block, Bottleneck) else [])]
    out = value
    for number, conv in enumerate(convs):
        out = graph.cell(conv, graph.node("Relu", out) if number else out)
    shortcut = value if block.down_sample is None else graph.cell(block.down_sample, value)
    return graph.node("Relu", graph.node("Add", out, shortcut))


def inverted_residual(graph: OnnxGraph, block: InvertedResidual, value: str) -> str:
    """Widen, convolve each channel, narrow, and add the shortcut."""
    out = value if block.expand is None else graph.cell(block.expand, value)
    out = graph.run([block.depthwise, block.project], out)
    return graph.node("Add", out, value) if block.shortcut else out


WRITERS: dict[type[nn.Cell], Callable[[OnnxGraph, Any, str], str]] = {
    nn.Conv2d: convolution,
    nn.ReLU6: relu6,
    nn.ReLU: lambda graph, cell, value: graph.node("Relu", value),
    nn.Identity: lambda graph, cell, value: value,
    MaxPool3x3: max_pool,
    BasicBlock: residual_block,
    Bottleneck: residual_block,
    InvertedResidual: inverted_residual,
}
