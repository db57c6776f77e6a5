"""An exponential moving average of a net, which often generalises better than the net itself (Polyak and Juditsky)."""

import contextlib

import numpy as np

from mstl.models import layers


class MovingAverage:
    """The moving average of all parameters of a net, BatchNorm statistics included, in float32.

    It is computed by NumPy: MindSpore's ``lerp`` takes twenty times as long on a CPU, longer than a training step.

    Args:
        net: The net.
        decay: Share of the old average that each step keeps, in (0, 1). At the beginning less is kept, so that the
            random start is soon forgotten: (1 + step) / (10 + step), as in TensorFlow.
    """

    def __init__(self, model, decay):
        self.parameters = list(model.get_parameters())
        self.decay, self.steps = decay, 0
        self.values = [parameter.asnumpy().astype(np.float32) for parameter in self.parameters]

    def update(self, still=()):
        """Take in the parameters as they are after a step.

        Args:
            still: The ``id`` of each parameter that has never moved, which is its own average.
        """
        self.steps += 1
        share = np.float32(1 - min(self.decay, (1 + self.steps) / (10 + self.steps)))
        for value, parameter in zip(self.values, self.parameters, strict=True):
            if id(parameter) not in still:
                value += share * (parameter.asnumpy() - value)

    @contextlib.contextmanager
    def applied(self):
        """While the block runs, the net has the average's values."""
        own = [parameter.value().copy() for parameter in self.parameters]
        self._put(self.values)
        try:
            yield
        finally:
            self._put(own)

    def _put(self, values):
        for parameter, value in zip(self.parameters, values, strict=True):
            layers.assign(parameter, value)

    def to_arrays(self):
        """The average, as a dict from name to array."""
        return {parameter.name: value for parameter, value in zip(self.parameters, self.values, strict=True)}

    def restore(self, arrays, steps):
        """The inverse of :meth:`to_arrays`."""
        self.steps = steps
        self.values = [arrays[parameter.name].astype(np.float32) for parameter in self.parameters]
