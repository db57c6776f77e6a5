"""Exported models: files that answer for pixels, each computed by its own runtime, with no MindSpore for ONNX."""

import os
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from mstl.engines.export_record import ExportRecord, RejectionLimits
from mstl.engines.onnxruntime_session import open_session
from mstl.errors import MstlError

IMAGES = "images"
PROBABILITIES, FEATURES, DISTANCE = "probabilities", "features", "distance"


class Outputs(NamedTuple):
    """What an exported model makes of n images.

    Attributes:
        probabilities: (n, classes), calibrated.
        features: (n, num_features) inputs of the model's head.
        distance: (n,) to the nearest known images, as :meth:`mstl.evaluation.rejection.Rejector.distances` has it; None
            if the model knows no images.
    """

    probabilities: NDArray[np.float32]
    features: NDArray[np.float32]
    distance: NDArray[np.float32] | None

    def rejected(self, limits: RejectionLimits | None) -> NDArray[np.bool_] | None:
        """(n,) whether each image belongs to none of the classes; None if the model cannot tell."""
        if limits is None or self.distance is None:
            return None
        return limits.rejected(self.probabilities, self.distance)


class ExportedModel(Protocol):
    """A model read back from a file."""

    @property
    def record(self) -> ExportRecord:
        """What the file says of itself."""
        ...

    def answer(self, pixels: NDArray[np.uint8]) -> Outputs:
        """The model's outputs for (n, size, size, 3) pixels, red, green and blue from 0 to 255."""
        ...


class OnnxModel:
    """An .onnx file of ``mstl export``, computed by ONNX Runtime.

    Args:
        path: The file.

    Raises:
        MstlError: It is not there, is damaged, or ``mstl export`` did not write it; or there is no ONNX Runtime.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        refuse_missing(path)
        try:
            self.session = open_session(path)
        except ModuleNotFoundError as error:
            raise MstlError(f"{path} needs ONNX Runtime: pip install onnxruntime") from error
        except Exception as error:  # a damaged file can make ONNX Runtime raise anything
            raise MstlError(f"{path} is not an ONNX model, or is damaged; export it again") from error
        self.record = ExportRecord.from_properties(path, self.session.get_modelmeta().custom_metadata_map)
        self.outputs = [PROBABILITIES, FEATURES, *[DISTANCE] * (self.record.rejection is not None)]
        inputs = [(value.name, value.type, value.shape[1:]) for value in self.session.get_inputs()]
        side = self.record.preprocessing.image_size
        if inputs != [(IMAGES, "tensor(uint8)", [side, side, 3])] or not set(self.outputs) <= {
            value.name for value in self.session.get_outputs()
        }:
            raise MstlError(f"{path} has other inputs or outputs than `mstl export` gives a model; export it again")

    def answer(self, pixels: NDArray[np.uint8]) -> Outputs:
        """The model's outputs for (n, size, size, 3) pixels."""
        probabilities, features, *distance = self.session.run(self.outputs, {IMAGES: pixels})
        return Outputs(probabilities, features, distance[0] if distance else None)


def refuse_missing(path: str | os.PathLike[str]) -> None:
    """Refuse a path at which there is no file.

    Raises:
        MstlError: There is none.
    """
    if not Path(path).is_file():
        raise MstlError(f"no model at {path}: give the path of a file that `mstl export` wrote")
