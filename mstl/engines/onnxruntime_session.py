"""Sessions of ONNX Runtime, with threads that leave the cores to others between two calls."""

import os
from typing import TYPE_CHECKING

from mstl.runtime.devices import cores
from mstl.runtime.environment import cpu_flags

if TYPE_CHECKING:  # an optional dependency
    import onnxruntime

ERRORS_ONLY = 3  # of ONNX Runtime's log


def open_session(model: bytes | str | os.PathLike[str]) -> "onnxruntime.InferenceSession":
    """Open an ONNX model, as bytes or a file, on the CPU.

    One thread a core computes. They do not spin while they wait for work, as they do by default: what decodes images
    and what trains needs the same cores. Of int8 models, all processors give the same answers: an x86 without VNNI adds
    two products in 16 bits, and cuts off what does not fit, unless ONNX Runtime is told to take another, slower way.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = cores()
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # a plan of each shape's memory, beside that which the first batch has taken
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if not {"avx512_vnni", "avx_vnni"} & cpu_flags():
        options.add_session_config_entry("session.x64quantprecision", "1")
    options.log_severity_level = ERRORS_ONLY
    source = model if isinstance(model, bytes) else os.fspath(model)
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
