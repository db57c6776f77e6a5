"""mstl: fine-tune a pretrained ResNet on a folder of images, with MindSpore.

The public names below are imported when they are first used, so that ``import mstl`` stays quick and does not load
MindSpore.
"""

import importlib
from typing import Any

from mstl.runtime.environment import prepare_environment

__version__ = "1.0.0rc1"

_MODULES = {
    "MstlError": "mstl.errors",
    "TrainConfig": "mstl.config",
    "Preprocessing": "mstl.preprocessing",
    "resnet18": "mstl.models.builders",
    "resnet34": "mstl.models.builders",
    "resnet50": "mstl.models.builders",
    "resnet101": "mstl.models.builders",
    "resnet152": "mstl.models.builders",
    "resnext50_32x4d": "mstl.models.builders",
    "resnext101_32x8d": "mstl.models.builders",
    "resnext101_64x4d": "mstl.models.builders",
    "wide_resnet50_2": "mstl.models.builders",
    "wide_resnet101_2": "mstl.models.builders",
    "efficientnet_lite0": "mstl.models.builders",
    "build_model": "mstl.models.factory",
    "load_weights": "mstl.models.loading",
    "load_data": "mstl.data.load_data",
    "load_splits": "mstl.data.load_data",
    "fit": "mstl.fitting",
    "Predictor": "mstl.predictor",
    "load_predictor": "mstl.prediction.any_predictor",
    "Evaluation": "mstl.evaluation.metrics",
}

__all__ = ["__version__", *_MODULES]

# oneDNN and MindSpore's logger read the environment once, when they are loaded, so this must come before them.
prepare_environment()


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'mstl' has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
