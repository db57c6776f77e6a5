"""One training step: loss, gradients, accumulation, clipping, optimizer."""

from collections.abc import Callable, Sequence
from typing import Any

import mindspore as ms
from mindspore import nn, ops
from numpy.typing import ArrayLike

from mstl.runtime.interrupts import interruptible
from mstl.runtime.processes import Gradients
from mstl.training.optimizers import Optimizer

LossFunction = Callable[[ms.Tensor, ms.Tensor], ms.Tensor]
LossAndGradients = Callable[[ms.Tensor, ms.Tensor], tuple[ms.Tensor, Gradients]]


def soft_cross_entropy(class_weights: ArrayLike | None = None) -> LossFunction:
    """The cross entropy against target distributions, averaged over the batch.

    Args:
        class_weights: (classes,) factors on the loss of each class; None for equal weights.

    Returns:
        A function of (N, classes) logits and (N, classes) float32 targets, whose rows sum to 1, that gives a scalar in
        nats.
    """
    weights = None if class_weights is None else ms.Tensor(class_weights, ms.float32)

    def loss(logits: ms.Tensor, targets: ms.Tensor) -> ms.Tensor:
        if weights is not None:
            targets = targets * weights
        return -(targets * ops.log_softmax(logits, -1)).sum() / logits.shape[0]

    return loss


def clip_by_norm(gradients: Gradients, limit: float) -> Gradients:
    """Scale gradients down to a global norm of ``limit`` if theirs is larger (Pascanu et al. 2013).

    MindSpore's ``clip_by_global_norm`` does the same, but on a CPU takes longer than the rest of the step.
    """
    norm = sum((gradient * gradient).sum() for gradient in gradients) ** 0.5
    scale = limit / ops.maximum(norm, limit)
    return tuple(gradient * scale for gradient in gradients)


def loss_and_gradients(
    trained_part: nn.Cell,
    loss_function: LossFunction,
    parameters: Sequence[ms.Parameter],
    loss_scaler: Any = None,
    graph_batch_size: int = 0,
) -> LossAndGradients:
    """A function of a batch's inputs and targets that gives the loss and the (scaled) gradients.

    The arguments are those of :class:`TrainStep`.
    """

    def forward(inputs: ms.Tensor, targets: ms.Tensor) -> Any:
        loss = loss_function(trained_part(inputs), targets)
        return (loss if loss_scaler is None else loss_scaler.scale(loss)), loss

    in_pynative_mode = ms.value_and_grad(forward, None, parameters, has_aux=True)

    def in_graph_mode(inputs: ms.Tensor, targets: ms.Tensor) -> Any:
        return in_pynative_mode(inputs, targets)

    compiled = ms.jit(in_graph_mode) if graph_batch_size else None

    def of_batch(inputs: ms.Tensor, targets: ms.Tensor) -> tuple[ms.Tensor, Gradients]:
        if compiled is None or len(targets) != graph_batch_size:
            (_, loss), gradients = in_pynative_mode(inputs, targets)
            return loss, gradients
        with interruptible():
            (_, loss), gradients = compiled(inputs, targets)
            # Wait for what is computed last, the first layer's gradient. To wait for anything else first, or to go on
            # to the optimizer, keeps a core busy while the graph runs, which on two cores doubles the time.
            gradients[0].asnumpy()
        return loss, gradients

    return of_batch


class TrainStep:
    """Takes in one batch at a time and, after ``accumulate`` of them, updates the parameters.

    The gradients of several batches are summed as they come, each weighted by its number of images: the update is that
    of one large batch, also where the last one is smaller.

    Args:
        trained_part: From the activations of the frozen part to (N, classes) logits.
        loss_function: From logits and targets to a scalar.
        optimizer: Updates the parameters.
        clip: Largest global norm of the gradients; 0 for no limit.
        accumulate: Batches whose mean gradient makes one step.
        reduce: Averages gradients over processes; None for a single process.
        loss_scaler: A MindSpore LossScaler for float16; None for float32.
        graph_batch_size: Batches of this size run in graph mode, others in PyNative mode: a graph is compiled for one
            shape, and padding a batch would distort BatchNorm. 0 for PyNative mode always.

    Attributes:
        has_updated: Whether the last batch updated the parameters.
    """

    def __init__(
        self,
        trained_part: nn.Cell,
        loss_function: LossFunction,
        optimizer: Optimizer,
        clip: float = 0.0,
        accumulate: int = 1,
        reduce: Callable[[Gradients], Gradients] | None = None,
        loss_scaler: Any = None,
        graph_batch_size: int = 0,
    ) -> None:
        self.optimizer, self.clip, self.accumulate = optimizer, clip, accumulate
        self.reduce, self.loss_scaler = reduce, loss_scaler
        self.loss_and_gradients = loss_and_gradients(
            trained_part, loss_function, optimizer.parameters, loss_scaler, graph_batch_size
        )
        self.batches = self.images = 0  # accumulated since the last update
        self.total: Gradients = ()
        self.has_updated = False

    def __call__(self, inputs: ms.Tensor, targets: ms.Tensor, learning_rate: float, last: bool = False) -> ms.Tensor:
        """Take in a batch.

        Args:
            inputs: Activations of the frozen part, or images.
            targets: (N, classes) float32 distributions.
            learning_rate: The base learning rate.
            last: Whether this is the last batch of an epoch, after which a step is made in any case.

        Returns:
            The loss, a scalar.
        """
        loss, gradients = self.loss_and_gradients(inputs, targets)
        self.accumulate_gradients(gradients, len(targets))
        del gradients  # or they would stay in memory beside the clipped ones
        self.has_updated = (self.batches >= self.accumulate or last) and self.update(learning_rate)
        return loss

    def accumulate_gradients(self, gradients: Gradients, images: int) -> None:
        """Add a batch's mean gradients over its images to the sum."""
        if self.accumulate > 1:
            gradients = tuple(gradient * images for gradient in gradients)
        if self.batches:
            gradients = tuple(total + gradient for total, gradient in zip(self.total, gradients, strict=True))
        self.total = gradients
        self.batches += 1
        self.images += images

    def update(self, learning_rate: float) -> bool:
        """Update the parameters by the mean of the accumulated gradients; gives whether that could be done."""
        gradients, images = self.total, self.images
        self.total, self.batches, self.images = (), 0, 0
        if self.accumulate > 1:
            gradients = tuple(gradient / images for gradient in gradients)
        if self.reduce is not None:
            gradients = self.reduce(gradients)
        if self.loss_scaler is not None:
            gradients = self.loss_scaler.unscale(gradients)
            finite = ms.amp.all_finite(gradients)
            self.loss_scaler.adjust(finite)
            if not bool(finite):
                return False  # float16 overflowed: no step, and a smaller scale next time
        if self.clip:
            gradients = clip_by_norm(gradients, self.clip)
        self.optimizer.step(gradients, learning_rate)
        return True
