"""One epoch of training: its batches, one after the other, until one of the processes has a reason to stop."""

import signal

import mindspore as ms
import numpy as np

from mstl.runtime import stopping
from mstl.runtime.progress import Progress
from mstl.training.diverged import Diverged
from mstl.training.run import TrainingRun

# Losses that are read from the device together. Reading each one would make it wait for the processor at every step;
# reading none would let the processor run ahead by a whole epoch, with all its batches in memory.
LOSSES_PER_READ = 16


def train_epoch(run: TrainingRun, epoch: int) -> tuple[float, float]:
    """Train for one epoch, or until the time of its phase is up: then its last step is that at the schedule's end.

    Returns:
        The mean loss over the images of all processes, and the base learning rate of the last step.
    """
    state, phase, num_batches, clock = run.state, run.state.phase, len(run.train_loader), run.clock
    phase.freeze.set_train()
    loss_sum, images, learning_rate = 0.0, 0, 0.0
    # Several processes stop only together, where they read. On a CPU, steps are slow and nothing runs ahead: at each
    is_shared_cpu = run.processes.size > 1 and ms.get_context("device_target") == "CPU"
    losses_per_read = 1 if is_shared_cpu else LOSSES_PER_READ
    unread: list[tuple[ms.Tensor, int]] = []
    total = run.processes.size * len(run.train_loader.order(epoch))
    with Progress(f"epoch {epoch} of {state.config.epochs}", total, quiet=not run.processes.is_first) as progress:
        for index, (inputs, targets, size) in enumerate(run.batches(epoch)):
            if run.processes.size == 1:
                clock.look()
            is_last = index + 1 == num_batches or clock.is_over
            first = index - index % state.config.accumulate  # of the step: all its batches are one large batch
            learning_rate = phase.learning_rate(clock.progress(epoch - 1 + first / num_batches))
            unread.append((phase.train_step(inputs, targets, learning_rate, last=is_last), size))
            if state.ema is not None and phase.train_step.has_updated:
                state.ema.update(phase.freeze.frozen_ids)
            images += size
            progress.advance(run.processes.size * size)
            if len(unread) == losses_per_read or is_last:
                losses = [float(loss.asnumpy()) for loss, _ in unread]
                agree_to_go_on(run, bool(np.isfinite(losses).all()), epoch, learning_rate)
                loss_sum += sum(loss * size for loss, (_, size) in zip(losses, unread, strict=True))
                unread.clear()
                if run.processes.size > 1:  # together
                    clock.look()
            elif run.processes.size == 1:
                stopping.check()
            if is_last:
                break
    total_loss, total_images = run.processes.sum(np.array([loss_sum, float(images)]))
    return float(total_loss / total_images), learning_rate


def agree_to_go_on(run: TrainingRun, is_finite: bool, epoch: int, learning_rate: float) -> None:
    """End the epoch in all processes, if one of them was asked to stop or has a loss that is not finite."""
    request = stopping.REQUEST
    is_stopped, has_diverged = run.processes.any(request.signum is not None, not is_finite)
    if has_diverged:
        raise Diverged(run.state, epoch, learning_rate, "the training loss is")
    if is_stopped:
        raise stopping.Stopped(request.signum or signal.SIGTERM)
