"""OpenVINO: an exported ONNX model converted to OpenVINO's own format, an .xml and a .bin file."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mstl.engines.export_record import ExportRecord
from mstl.engines.exported_model import DISTANCE, FEATURES, PROBABILITIES, Outputs, refuse_missing
from mstl.engines.openvino_session import load_openvino
from mstl.errors import MstlError

if TYPE_CHECKING:  # an optional dependency
    import onnx

KEY = "mstl"  # of what the file says of itself, in its runtime information
EXACT = {"INFERENCE_PRECISION_HINT": "f32"}  # else OpenVINO computes in bfloat16 where the processor can


def write_openvino(xml: Path, weights: Path, model: "onnx.ModelProto", properties: Mapping[str, str]) -> None:
    """Write an ONNX model as OpenVINO's pair of files, with all weights in float32."""
    core, _ = load_openvino()
    import openvino

    converted = core.read_model(model.SerializeToString())
    for key, text in properties.items():
        converted.set_rt_info(text, [KEY, key])
    openvino.serialize(converted, xml, weights)


class OpenvinoModel:
    """A pair of files of ``mstl export``, computed by OpenVINO in float32.

    Args:
        xml: The .xml file.
        weights: The .bin file; by default the one beside it.

    Raises:
        MstlError: A file is not there or damaged, or ``mstl export`` did not write it; or there is no OpenVINO.
    """

    def __init__(self, xml: str | os.PathLike[str], weights: str | os.PathLike[str] | None = None) -> None:
        weights = weights or Path(xml).with_suffix(".bin")
        refuse_missing(xml)
        refuse_missing(weights)
        try:
            core, _ = load_openvino()
            model = core.read_model(xml, weights)
            self.compiled = core.compile_model(model, "CPU", EXACT)
        except ModuleNotFoundError as error:
            raise MstlError(f"{xml} needs OpenVINO: pip install openvino") from error
        except Exception as error:  # a damaged file can make OpenVINO raise anything
            raise MstlError(f"{xml} is not an OpenVINO model, or is damaged; export it again") from error
        known = ExportRecord.__dataclass_fields__
        properties = {key: model.get_rt_info([KEY, key]).astype(str) for key in known if model.has_rt_info([KEY, key])}
        self.record = ExportRecord.from_properties(xml, properties)

    def answer(self, pixels: NDArray[np.uint8]) -> Outputs:
        """The model's outputs for (n, size, size, 3) pixels."""
        results = self.compiled(pixels)
        distance = results[DISTANCE] if self.record.rejection is not None else None
        return Outputs(results[PROBABILITIES], results[FEATURES], distance)
