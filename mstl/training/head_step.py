"""HeadStep: the training step of a head alone, compiled as a whole, in one call for each batch."""

import mindspore as ms
import numpy as np
from mindspore import nn, ops
from numpy.typing import NDArray

from mstl.config import OptimizerName
from mstl.runtime.interrupts import interruptible
from mstl.training.optimizers import Optimizer
from mstl.training.train_step import LossFunction, clip_by_norm

IN_GRAPHS: tuple[OptimizerName, ...] = ("momentum", "sgd", "adam")  # MindSpore's AdamW is for PyNative mode alone


class HeadStep:
    """Takes in one batch at a time and updates the parameters, as :class:`mstl.training.train_step.TrainStep` does.

    Loss, gradients, clipping and optimizer are one graph. Around the microseconds of a head's arithmetic, PyNative mode
    takes 9 ms, nearly all to keep account of its operations; one call of a graph takes a twentieth. It is compiled for
    one shape: a smaller batch is filled up with rows whose targets are zeros, which have neither loss nor gradient.
    That is exact, as no layer here mixes the rows of a batch.

    Args:
        head: From (N, C) or (N, C, h, w) features to (N, classes) logits, each row by itself.
        loss_function: From logits and targets to the mean of each row's loss, which is linear in its target.
        optimizer: One of ``IN_GRAPHS``; updates the parameters.
        batch_size: Rows of the graph.
        clip: Largest global norm of the gradients; 0 for no limit.

    Attributes:
        has_updated: Whether the last batch updated the parameters: always.
    """

    has_updated = True

    def __init__(
        self, head: nn.Cell, loss_function: LossFunction, optimizer: Optimizer, batch_size: int, clip: float = 0.0
    ) -> None:
        self.batch_size = batch_size
        update = optimizer.cell
        rates = [(rate, group.lr_scale) for rate, group in zip(optimizer.rates, optimizer.groups, strict=True)]

        def forward(inputs: ms.Tensor, targets: ms.Tensor) -> ms.Tensor:
            return loss_function(head(inputs), targets)

        loss_and_gradients = ms.value_and_grad(forward, None, optimizer.parameters)

        def step(inputs: ms.Tensor, targets: ms.Tensor, learning_rate: ms.Tensor) -> ms.Tensor:
            loss, gradients = loss_and_gradients(inputs, targets)
            if clip:
                gradients = clip_by_norm(gradients, clip)
            for rate, scale in rates:
                ops.assign(rate, learning_rate if scale == 1 else learning_rate * scale)
            update(gradients)
            return loss

        self.compiled = ms.jit(step)

    def __call__(self, inputs: ms.Tensor, targets: ms.Tensor, learning_rate: float, last: bool = False) -> ms.Tensor:
        """Take in a batch and update the parameters.

        Args:
            inputs: Features, ``batch_size`` at most.
            targets: (N, classes) float32 distributions.
            learning_rate: The base learning rate.
            last: Not used: a step is made after each batch.

        Returns:
            The loss, a scalar.
        """
        missing = self.batch_size - len(targets)
        if missing:
            inputs = ms.Tensor.from_numpy(padded(inputs.asnumpy(), missing))
            # The graph divides by its own number of rows
            share = np.float32(self.batch_size / len(targets))
            targets = ms.Tensor.from_numpy(padded(targets.asnumpy() * share, missing))
        rate = ms.Tensor.from_numpy(np.array(learning_rate, np.float32))
        with interruptible():
            loss: ms.Tensor = self.compiled(inputs, targets, rate)
        return loss


def padded(rows: NDArray[np.float32], missing: int) -> NDArray[np.float32]:
    """The rows, and as many rows of zeros below them as are missing."""
    return np.concatenate([rows, np.zeros((missing, *rows.shape[1:]), np.float32)])
