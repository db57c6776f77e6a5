"""Mixed precision: MindSpore's casts to float16, put into a model once; what comes out of it is float32 anyway."""

from typing import Literal

import mindspore as ms
from mindspore import nn, ops

PrecisionLevel = Literal["O0", "O2", "O3", "auto"]


def set_precision(model: nn.Cell, level: PrecisionLevel) -> None:
    """Make a model compute in mixed precision.

    Its parameters stay float32. It has to be done before parts of the model are put into other cells, and only once:
    MindSpore would wrap its BatchNorms again.

    Args:
        model: A :class:`mstl.models.contract.Classifier`; its ``precision`` is set.
        level: ``"O2"`` computes all but BatchNorms in float16, ``"O3"`` everything; ``"auto"`` decides by operation,
            see :func:`cast_by_operation`; ``"O0"`` changes nothing.

    Raises:
        ValueError: The model already has another precision.
    """
    if model.precision not in ("O0", level):
        raise ValueError(f"the model computes at {model.precision} already, not {level}")
    if model.precision == level:
        return
    model.precision = level
    if level in ("O2", "O3"):
        ms.amp.auto_mixed_precision(model, level)


def cast_by_operation(cell: nn.Cell, level: PrecisionLevel) -> None:
    """Give a cell that runs parts of a model the model's precision, if that is decided by operation."""
    if level == "auto":
        ms.amp.auto_mixed_precision(cell, level)


def unwrapped(cell: nn.Cell) -> nn.Cell:
    """The cell itself, where MindSpore has wrapped it to cast its output."""
    while isinstance(getattr(cell, "_backbone", None), nn.Cell):
        cell = cell._backbone
    return cell


def float32(x: ms.Tensor) -> ms.Tensor:
    """The same values in float32."""
    return x if x.dtype == ms.float32 else ops.cast(x, ms.float32)
