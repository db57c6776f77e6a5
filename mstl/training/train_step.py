"""One step of training."""

import mindspore as ms
from mindspore import ops

from mstl.runtime.interrupts import interruptible


def soft_cross_entropy(class_weights=None):
    """The loss: mean over the batch of the cross entropy against target distributions.

    Args:
        class_weights: (classes,) factors of each class's share; 1 if not given.

    Returns:
        A function of (N, classes) logits and (N, classes) float32 targets, rows adding up to 1, to a scalar in nats.
    """
    weights = None if class_weights is None else ms.Tensor(class_weights, ms.float32)

    def loss(logits, targets):
        if weights is not None:
            targets = targets * weights
        return -(targets * ops.log_softmax(logits, -1)).sum() / logits.shape[0]

    return loss


def clipped(gradients, limit):
    """Gradients shortened to a global norm of ``limit`` where it is larger (Pascanu et al. 2013).

    MindSpore's ``clip_by_global_norm`` does the same, but takes longer than the step itself on a CPU.
    """
    norm = sum((gradient * gradient).sum() for gradient in gradients) ** 0.5
    scale = limit / ops.maximum(norm, limit)
    return tuple(gradient * scale for gradient in gradients)


def make_train_step(
    trained_part, loss_function, stepper, clip=0.0, accumulate=1, reduce=None, loss_scaler=None, graph_batch=0
):
    """A function that takes in one batch and, when enough have come together, moves the parameters.

    Args:
        trained_part: A Cell from what comes out of the frozen part to (N, classes) logits.
        loss_function: From logits and targets to a scalar.
        stepper: A :class:`mstl.training.optimizers.Stepper`.
        clip: Largest global norm of the gradients; 0 for no limit.
        accumulate: Batches whose mean gradient makes one step.
        reduce: Averages gradients over devices; None for one device.
        loss_scaler: A MindSpore LossScaler for float16; None for float32.
        graph_batch: Batches of this size run in graph mode, others in PyNative, as the graph is compiled for one shape
            (and BatchNorm would not bear a batch that is filled up); 0 for PyNative always.

    Returns:
        A function of inputs, targets, rate and whether this is the epoch's last batch (which makes a step of what has
        come together). It gives the loss, a scalar Tensor.
    """

    def forward(inputs, targets):
        loss = loss_function(trained_part(inputs), targets)
        return (loss if loss_scaler is None else loss_scaler.scale(loss)), loss

    gradients_of = ms.value_and_grad(forward, None, stepper.parameters, has_aux=True)

    def in_graph_mode(inputs, targets):
        return gradients_of(inputs, targets)

    compiled = ms.jit(in_graph_mode) if graph_batch else None
    waiting = []

    def train_step(inputs, targets, rate, last=False):
        if compiled is not None and len(targets) == graph_batch:
            with interruptible():
                (_, loss), gradients = compiled(inputs, targets)
                # Wait for what is computed last, the first layer's gradient. To wait for anything else first, or to go
                # on to the optimizer, keeps a processor busy while the graph runs: on two cores, that doubles the time.
                gradients[0].asnumpy()
        else:
            (_, loss), gradients = gradients_of(inputs, targets)
        waiting.append(gradients)
        if len(waiting) < accumulate and not last:
            return loss
        if len(waiting) > 1:
            gradients = tuple(sum(parts) / len(waiting) for parts in zip(*waiting, strict=True))
        waiting.clear()
        if reduce is not None:
            gradients = reduce(gradients)
        if loss_scaler is not None:
            gradients = loss_scaler.unscale(gradients)
            finite = ms.amp.all_finite(gradients)
            loss_scaler.adjust(finite)
            if not bool(finite):
                return loss  # float16 overflowed: no step, and a smaller scale next time
        if clip:
            gradients = clipped(gradients, clip)
        stepper.step(gradients, rate)
        return loss

    return train_step
