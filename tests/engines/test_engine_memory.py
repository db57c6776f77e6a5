"""The memory that is taken by opening an engine."""

from pathlib import Path

import numpy as np
import pytest

import mstl
from mstl.engines.choice import Choice
from mstl.engines.parts import ClassifierPart, Engines
from mstl.models.fusing import FusedModel
from mstl.runtime.memory import trim_memory

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
STATUS = Path("/proc/self/status")


def used_memory():
    """Bytes of this process that are in memory."""
    lines = STATUS.read_text(encoding="ascii").splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("VmRSS:")).split()[1])


@pytest.mark.skipif(not STATUS.exists(), reason="the system does not say how much memory is used")
def test_copies_by_which_an_engine_was_opened_are_given_back():
    """In the end it has one or two copies of the weights, as it likes: not the ONNX model, nor that as bytes."""
    engine = Choice("onnxruntime", "fp32", "1")
    model = mstl.resnet18(num_classes=3)
    size = sum(parameter.size for parameter in model.get_parameters()) * 4
    part = ClassifierPart(FusedModel(model), Engines([engine]), 0)
    part.to_onnx((3, 64, 64))  # loads what it needs
    trim_memory()
    before = used_memory()
    answers = part._open(engine, (3, 64, 64))
    assert used_memory() - before < 3 * size
    assert answers(np.zeros((1, 3, 64, 64), np.float32))[0].shape == (1, 3)
