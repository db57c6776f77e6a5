"""The learning-rate range test: the learning rate grows from step to step until the loss diverges.

Smith, "Cyclical Learning Rates for Training Neural Networks", 2017; the suggestion is fastai's "steepest".
"""

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mstl.config import TrainConfig
from mstl.errors import MstlError
from mstl.runtime import mindspore_thread
from mstl.training.setup import log_setup, prepare

LOWEST, HIGHEST = 1e-6, 10.0
SMOOTHING = 0.9  # of the moving average of the losses
DIVERGED = 4.0  # times the lowest loss, at which the test ends


@mindspore_thread.held()
def lr_find(config: TrainConfig, steps: int = 60) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Train for a few steps with a growing learning rate; nothing is kept.

    Args:
        config: The settings; learning rate and schedule are not used.
        steps: Batches at most.

    Returns:
        Learning rates, smoothed losses in nats, and the suggestion: where the loss falls most steeply.

    Raises:
        MstlError: Settings, data or weights are invalid, or the optimizer takes no steps.
    """
    if config.optimizer == "lbfgs":
        raise MstlError("optimizer lbfgs has no learning rate to be found: give another one, such as momentum")
    if config.recipe in ("auto", "linear") and config.optimizer is None:
        config = dataclasses.replace(config, optimizer="momentum")
    run = prepare(config)
    if run.processes.is_first:
        log_setup(run)
    phase, processes = run.state.phase, run.processes
    phase.freeze.set_train()
    learning_rates: list[float] = []
    losses: list[float] = []
    average = 0.0
    run.compute_features()
    batches = itertools.chain.from_iterable(map(run.batches, itertools.count(1)))
    for index, (inputs, targets, _) in enumerate(itertools.islice(batches, steps)):
        learning_rate = LOWEST * (HIGHEST / LOWEST) ** (index / max(1, steps - 1))
        loss = float(phase.train_step(inputs, targets, learning_rate).asnumpy())
        loss = float(processes.sum(np.array([loss]))[0]) / processes.size
        average = SMOOTHING * average + (1 - SMOOTHING) * loss
        learning_rates.append(learning_rate)
        losses.append(average / (1 - SMOOTHING ** (index + 1)))  # without the bias of starting at 0
        if not np.isfinite(loss) or losses[-1] > DIVERGED * min(losses):
            break
    return np.array(learning_rates), np.array(losses), steepest(learning_rates, losses)


def steepest(learning_rates: Sequence[float], losses: Sequence[float]) -> float:
    """The learning rate at which the loss falls most steeply on a logarithmic axis, before its minimum."""
    values = np.asarray(losses, float)
    end = int(np.nanargmin(values)) + 1
    if end < 3:  # it never fell
        return float(learning_rates[0])
    slopes = np.gradient(values[:end], np.log(np.asarray(learning_rates[:end], float)))
    return float(learning_rates[int(np.argmin(slopes))])
