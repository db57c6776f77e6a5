"""Sessions of OpenVINO, which is loaded so that its bf16 works beside MindSpore."""

import functools
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mstl.runtime.devices import cores
from mstl.runtime.environment import without_onednn_cap

PRECISIONS = {"fp32": "f32", "bf16": "bf16"}  # as OpenVINO calls them


@functools.cache
def load_openvino() -> tuple[Any, frozenset[str]]:
    """OpenVINO's core, and what it can do on this processor, such as ``"BF16"``.

    When it first looks at the processor, the oneDNN in it reads the limit that is meant for MindSpore's, with which it
    finds no kernels for bf16.
    """
    with without_onednn_cap():
        import openvino

        core = openvino.Core()
        return core, frozenset(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))


class OpenVinoSession:
    """An ONNX model in OpenVINO, with one thread for each core; whichever thread asks, it answers one at a time.

    Args:
        model: The content of an ONNX file.
        precision: ``"fp32"`` or ``"bf16"``.
    """

    def __init__(self, model: bytes, precision: str) -> None:
        core, _ = load_openvino()
        options = {
            "INFERENCE_PRECISION_HINT": PRECISIONS[precision],
            "PERFORMANCE_HINT": "LATENCY",  # all threads work on the same batch
            "INFERENCE_NUM_THREADS": cores(),
            "ENABLE_CPU_PINNING": False,  # the same cores decode images
        }
        self.request = core.compile_model(core.read_model(model), "CPU", options).create_infer_request()
        self.lock = threading.Lock()

    def __call__(self, inputs: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """The model's outputs, in their order."""
        with self.lock:
            outputs = self.request.infer({0: inputs})
            return [np.array(value) for value in outputs.values()]
