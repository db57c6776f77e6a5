"""load_predictor: a predictor for a checkpoint or an exported model, by its name."""

import os
from pathlib import Path

from mstl.config import EngineName, PrecisionName
from mstl.errors import MstlError
from mstl.prediction.image_predictor import ImagePredictor

EXPORTED = ".onnx"  # suffix of the exported models that are predictors


def load_predictor(
    path: str | os.PathLike[str],
    device: str = "auto",
    engine: EngineName = "auto",
    precision: PrecisionName = "auto",
) -> ImagePredictor:
    """Load a model that predicts: a checkpoint, or an exported .onnx file, which needs no MindSpore.

    Args:
        path: A file written by :func:`mstl.fit`, such as best.ckpt, or by ``mstl export``.
        device, engine, precision: Of a checkpoint, as :class:`mstl.Predictor` takes them. An exported model is computed
            by ONNX Runtime on the CPU.

    Raises:
        MstlError: The file does not exist, or mstl did not write it; or an exported model is to be computed in another
            way.
    """
    if Path(path).suffix.lower() == EXPORTED:
        from mstl.prediction.exported_predictor import ExportedPredictor

        for option, value, possible in (
            ("device", device, ("auto", "cpu")),
            ("engine", engine, ("auto", "onnxruntime")),
            ("precision", precision, ("auto",)),
        ):
            if value.lower() not in possible:
                how = "by ONNX Runtime on the CPU, as it was exported"
                raise MstlError(f"{path} is computed {how}: leave --{option} {value} out")
        return ExportedPredictor(path)
    from mstl.predictor import Predictor

    return Predictor(path, device, engine, precision)
