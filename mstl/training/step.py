"""One step of training."""

import mindspore as ms


def make_train_step(trained_part, loss_function, optimizer):
    """A function that takes one gradient step.

    Args:
        trained_part: From what a freeze policy's ``inputs`` gives to (N, classes) logits.
        loss_function: From logits and labels to a scalar.
        optimizer: Holds the parameters that are trained.

    Returns:
        A function of inputs and (N,) int32 labels that gives the loss before the step, a scalar Tensor.
    """

    def forward(inputs, labels):
        return loss_function(trained_part(inputs), labels)

    gradients_of = ms.value_and_grad(forward, None, optimizer.parameters)

    def train_step(inputs, labels):
        loss, gradients = gradients_of(inputs, labels)
        optimizer(gradients)
        return loss

    return train_step
