"""The training loop: ``run_training`` is a whole run, to be read from top to bottom."""

import contextlib
import logging
import sys
import time
from collections.abc import Iterable, Iterator
from os import PathLike
from typing import TypeVar, cast

import mindspore as ms
import numpy as np

from mstl.checkpoint import save_checkpoint
from mstl.config import TrainConfig
from mstl.evaluation.history import EpochRow
from mstl.evaluation.metrics import Evaluation
from mstl.runtime import mindspore_thread
from mstl.runtime.processes import ProcessGroup
from mstl.training import run_dir
from mstl.training.callbacks import default_callbacks, notify
from mstl.training.run import TrainingRun
from mstl.training.setup import prepare
from mstl.training.state import TrainState

logger = logging.getLogger("mstl")
T = TypeVar("T")

# Losses that are read from the device together. Reading each one would make it wait for the processor at every step;
# reading none would let the processor run ahead by a whole epoch, with all its batches in memory.
LOSSES_PER_READ = 16


@mindspore_thread.held()
def run_training(
    config: TrainConfig, callbacks: Iterable[object] = (), resume: str | PathLike[str] | None = None
) -> TrainState:
    """Fine-tune a model; :func:`mstl.fit` does so too, and adds plots and a report.

    Args:
        config: The settings.
        callbacks: See :mod:`mstl.training.callbacks`; called after the default ones.
        resume: The folder of a run to go on with; None for a new run.

    Returns:
        The state at the end.

    Raises:
        MstlError: Settings, data, weights or folder are invalid.
    """
    run_started = time.perf_counter()
    run_dir.check_writable(config, resume)
    run = prepare(config, resume)
    state, processes = run.state, run.processes
    if processes.is_first:
        state.folder = run_dir.open_folder(state, resumed=resume is not None)
        callbacks = [*default_callbacks(state), *callbacks]
    else:
        callbacks = []
    notify(callbacks, "on_start", state)

    with stop_on_interrupt(state, processes):
        run.compute_features()
        for epoch in range(len(state.history) + 1, state.config.epochs + 1):
            started = time.perf_counter()
            if epoch == state.config.unfreeze_at:
                run.begin_phase(epoch)
                run.compute_features()
            train_loss, learning_rate = train_epoch(run, epoch)
            with state.ema_applied():
                state.evaluation = run.validate()
            seconds = time.perf_counter() - started
            state.history.append(epoch_row(epoch, learning_rate, train_loss, state.evaluation, seconds))
            if state.best is state.history[-1]:
                state.best_evaluation = state.evaluation
            notify(callbacks, "on_epoch_end", state)
            # Only the first process has callbacks, but all must stop
            if processes.sum(np.array([float(bool(state.stop))]))[0]:
                logger.info(state.stop)
                break

    state.seconds = time.perf_counter() - run_started
    notify(callbacks, "on_end", state)
    # MindSpore keeps compiled graphs, with the parameters of their models, for as long as the process lives: in a
    # notebook, each further run would take as much memory again. What is still in use is compiled anew.
    ms.ms_memory_recycle()
    return state


def train_epoch(run: TrainingRun, epoch: int) -> tuple[float, float]:
    """Train for one epoch.

    Returns:
        The mean loss over the images of all processes, and the base learning rate of the last step.
    """
    state, phase, num_batches = run.state, run.state.phase, len(run.train_loader)
    phase.freeze.set_train()
    loss_sum, images, learning_rate = 0.0, 0, 0.0
    unread: list[tuple[ms.Tensor, int]] = []
    batches = with_progress_bar(run.batches(epoch), num_batches, f"epoch {epoch}", run.processes)
    for index, (inputs, targets, size) in enumerate(batches):
        is_last = index + 1 == num_batches
        learning_rate = phase.learning_rate(epoch - 1 + index / num_batches)
        unread.append((phase.train_step(inputs, targets, learning_rate, last=is_last), size))
        if state.ema is not None:
            state.ema.update(phase.freeze.frozen_ids)
        images += size
        if len(unread) == LOSSES_PER_READ or is_last:
            loss_sum += sum(float(loss.asnumpy()) * size for loss, size in unread)
            unread.clear()
    total_loss, total_images = run.processes.sum(np.array([loss_sum, float(images)]))
    return float(total_loss / total_images), learning_rate


def epoch_row(epoch: int, learning_rate: float, train_loss: float, evaluation: Evaluation, seconds: float) -> EpochRow:
    """The row of an epoch in the history."""
    by_class = {
        f"val_{metric}": {
            name: None if np.isnan(value) else float(value)
            for name, value in zip(evaluation.classes, getattr(evaluation, metric), strict=True)
        }
        for metric in ("recall", "f1")
    }
    row = {
        "epoch": epoch,
        "lr": learning_rate,
        "train_loss": train_loss,
        "val_loss": evaluation.loss,
        "val_accuracy": evaluation.accuracy,
        "val_macro_f1": evaluation.macro_f1,
        **({"val_top5": evaluation.top(5)} if len(evaluation.classes) > 5 else {}),
        **by_class,
        "seconds": seconds,
    }
    return cast(EpochRow, row)


@contextlib.contextmanager
def stop_on_interrupt(state: TrainState, processes: ProcessGroup) -> Iterator[None]:
    """On Ctrl-C, leave the block instead of the process.

    last.ckpt is that of the last finished epoch, so that --resume repeats the interrupted one. If there is none, the
    model is saved as it is.
    """
    try:
        yield
    except KeyboardInterrupt:
        state.interrupted = True
        if not state.history and processes.is_first:
            save_checkpoint(state.folder / "last.ckpt", state.parameter_arrays(), state.metadata())
        done, total = len(state.history), state.config.epochs
        logger.warning("interrupted after %d of %d epochs: last.ckpt saved", done, total)


def with_progress_bar(items: Iterable[T], total: int, label: str, processes: ProcessGroup) -> Iterable[T]:
    """Show a progress bar on stderr while iterating, if that is a terminal."""
    from tqdm import tqdm

    silent = not (processes.is_first and sys.stderr.isatty())
    bar: Iterable[T] = tqdm(items, total=total, desc=label, unit="batch", leave=False, disable=silent)
    return bar
