"""Exponential moving average of a model's weights, which often generalises better (Polyak and Juditsky 1992)."""

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np
from mindspore import nn
from numpy.typing import NDArray

from mstl.models import layers


class MovingAverage:
    """The moving average of all parameters of a model, BatchNorm statistics included, in float32.

    NumPy computes it: on a CPU, MindSpore's ``lerp`` takes 20 times as long, longer than a training step.

    Args:
        model: The model.
        decay: Share of the old average that each step keeps, in (0, 1). The first steps keep less, so that the initial
            weights are soon forgotten: (1 + step) / (10 + step), as in TensorFlow.
    """

    def __init__(self, model: nn.Cell, decay: float) -> None:
        self.parameters = list(model.get_parameters())
        self.decay, self.steps = decay, 0
        self.values = [parameter.asnumpy().astype(np.float32) for parameter in self.parameters]

    def update(self, frozen_ids: Collection[int] = ()) -> None:
        """Take in the parameters after a training step.

        Args:
            frozen_ids: The ``id`` of each parameter that has never changed, and is skipped.
        """
        self.steps += 1
        share = np.float32(1 - min(self.decay, (1 + self.steps) / (10 + self.steps)))
        for value, parameter in zip(self.values, self.parameters, strict=True):
            if id(parameter) not in frozen_ids:
                value += share * (parameter.asnumpy() - value)

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Give the model the averaged weights while the block runs."""
        weights = [parameter.value().copy() for parameter in self.parameters]
        self._assign(self.values)
        try:
            yield
        finally:
            self._assign(weights)

    def _assign(self, values: Sequence[object]) -> None:
        for parameter, value in zip(self.parameters, values, strict=True):
            layers.assign(parameter, value)

    def to_arrays(self) -> dict[str, NDArray[np.float32]]:
        """The average by name of the parameter."""
        return {parameter.name: value for parameter, value in zip(self.parameters, self.values, strict=True)}

    def restore(self, arrays: Mapping[str, NDArray[np.float32]], steps: int) -> None:
        """Take over the arrays of another average's :meth:`to_arrays`, and its number of steps."""
        self.steps = steps
        self.values = [arrays[parameter.name].astype(np.float32) for parameter in self.parameters]
