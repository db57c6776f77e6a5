"""load_predictor: a predictor for a checkpoint or an exported model, by its name."""

import os
from pathlib import Path

from mstl.errors import MstlError
from mstl.prediction.image_predictor import ImagePredictor

EXPORTED = ".onnx"  # suffix of the exported models that are predictors


def load_predictor(path: str | os.PathLike[str], device: str = "auto") -> ImagePredictor:
    """Load a model that predicts: a checkpoint, or an exported .onnx file, which needs no MindSpore.

    Args:
        path: A file written by :func:`mstl.fit`, such as best.ckpt, or by ``mstl export``.
        device: Of a checkpoint: ``"auto"``, ``"Ascend"``, ``"GPU"`` or ``"CPU"``.

    Raises:
        MstlError: The file does not exist, or mstl did not write it; or a device other than the CPU is asked of an
            exported model.
    """
    if Path(path).suffix.lower() == EXPORTED:
        from mstl.prediction.exported_predictor import ExportedPredictor

        if device.lower() not in ("auto", "cpu"):
            raise MstlError(f"{path} is an exported model, which mstl computes on the CPU: leave --device {device} out")
        return ExportedPredictor(path)
    from mstl.predictor import Predictor

    return Predictor(path, device)
