"""A good learning rate from one short run: the rate grows from step to step until the loss breaks away.

Smith, "Cyclical Learning Rates for Training Neural Networks", 2017; the suggestion is fastai's "steepest".
"""

import numpy as np

from mstl.training.setup import prepare

LOW, HIGH = 1e-6, 10.0
SMOOTH = 0.9  # of the moving average of the losses
BROKEN = 4.0  # times the lowest loss, at which the search ends


def lr_find(config, steps=60):
    """Train for a few steps with a growing rate; nothing is kept of it.

    Args:
        config: A :class:`mstl.TrainConfig`; its rate and schedule have no part in this.
        steps: Batches, at the most.

    Returns:
        Rates, smoothed losses, and the suggested rate: where the loss falls most steeply.
    """
    context = prepare(config)
    phase, processes = context.state.phase, context.processes
    phase.policy.set_train()
    rates, losses, average = [], [], 0.0
    context.compute_features()
    for index, (inputs, targets, _) in enumerate(endless(context)):
        if index == steps:
            break
        rate = LOW * (HIGH / LOW) ** (index / max(1, steps - 1))
        loss = float(phase.train_step(inputs, targets, rate).asnumpy())
        loss = float(processes.sum([loss])[0]) / processes.size
        average = SMOOTH * average + (1 - SMOOTH) * loss
        rates.append(rate)
        losses.append(average / (1 - SMOOTH ** (index + 1)))  # without the pull of the start at 0
        if not np.isfinite(loss) or losses[-1] > BROKEN * min(losses):
            break
    return np.array(rates), np.array(losses), steepest(rates, losses)


def endless(context):
    """Batches of one epoch after another."""
    epoch = 1
    while True:
        yield from context.batches(epoch)
        epoch += 1


def steepest(rates, losses):
    """The rate at which the loss falls most steeply over the logarithm of the rate, before its lowest point."""
    losses = np.asarray(losses, float)
    end = int(np.nanargmin(losses)) + 1
    if end < 3:  # it never fell
        return float(rates[0])
    slopes = np.gradient(losses[:end], np.log(np.asarray(rates[:end], float)))
    return float(rates[int(np.argmin(slopes))])
