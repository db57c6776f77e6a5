"""``run_training``: the whole of a training run, read from top to bottom."""

import contextlib
import logging
import sys
import time

import mindspore as ms
import numpy as np

from mstl.checkpoint import save_checkpoint
from mstl.training.callbacks import Checkpoints, EarlyStop, HistoryFiles, PrintEpoch, TensorBoard, arrays
from mstl.training.setup import open_folder, prepare

logger = logging.getLogger("mstl")

# Losses. To ask for each would make the device wait for the processor at every step; to ask for none lets the processor
# run ahead by a whole epoch, whose batches are then all in memory at once.
READ_TOGETHER = 16


def run_training(config, callbacks=(), resume=None):
    """Fine-tune a net on a folder of photos; see :func:`mstl.fit`, which adds pictures and a page.

    Args:
        config: A :class:`mstl.TrainConfig`.
        callbacks: Objects with ``on_epoch_end(state)`` or ``on_end(state)``, called after mstl's own.
        resume: The folder of a run to go on with; None starts a new one.

    Returns:
        The :class:`mstl.training.state.TrainState` at the end.

    Raises:
        MstlError: Settings, data, weights or folder are not right.
    """
    began = time.perf_counter()
    context = prepare(config, resume)
    open_folder(context, resume is not None)
    state, processes = context.state, context.processes
    callbacks = [*own_callbacks(state), *callbacks] if processes.is_first else []

    with ends_cleanly(state, processes):
        context.compute_features()
        for epoch in range(len(state.history) + 1, state.config.epochs + 1):
            started = time.perf_counter()
            if epoch == state.config.unfreeze_at:
                context.begin_phase(epoch)
                context.compute_features()
            train_loss, rate = train_epoch(context, epoch)
            with state.averaged():
                state.evaluation = context.validate()
            state.history.append(row_of(epoch, rate, train_loss, state.evaluation, time.perf_counter() - started))
            if state.best is state.history[-1]:
                state.best_evaluation = state.evaluation
            call(callbacks, "on_epoch_end", state)
            if processes.sum([float(bool(state.stop))])[0]:  # only the first process has callbacks; all must stop
                logger.info(state.stop)
                break

    state.seconds = time.perf_counter() - began
    call(callbacks, "on_end", state)
    # MindSpore keeps what it compiled for a net, with that net's parameters, for as long as the process lives: in a
    # notebook, every further run would take as much memory again. What is still in use is compiled anew.
    ms.ms_memory_recycle()
    return state


def call(callbacks, event, state):
    """Tell each callback that has a method for the event."""
    for callback in callbacks:
        if hasattr(callback, event):
            getattr(callback, event)(state)


def train_epoch(context, epoch):
    """One pass over the training photos.

    Returns:
        The mean loss over all photos and processes, and the last learning rate.
    """
    state, phase, count = context.state, context.state.phase, len(context.train_loader)
    phase.policy.set_train()
    total, photos, waiting = 0.0, 0, []
    batches = progress(context.batches(epoch), count, f"epoch {epoch}", context.processes)
    for index, (inputs, targets, size) in enumerate(batches):
        rate = phase.rate(epoch - 1 + index / count)
        waiting.append((phase.train_step(inputs, targets, rate, last=index + 1 == count), size))
        if state.average is not None:
            state.average.update(phase.policy.still)
        photos += size
        if len(waiting) == READ_TOGETHER or index + 1 == count:
            total += sum(float(loss.asnumpy()) * size for loss, size in waiting)
            waiting.clear()
    total, photos = context.processes.sum([total, float(photos)])
    return float(total / photos), rate


def row_of(epoch, rate, train_loss, evaluation, seconds):
    """The history's row of an epoch."""
    row = {
        "epoch": epoch,
        "lr": rate,
        "train_loss": train_loss,
        "val_loss": evaluation.loss,
        "val_accuracy": evaluation.accuracy,
        "val_macro_f1": evaluation.macro_f1,
    }
    if len(evaluation.classes) > 5:
        row["val_top5"] = evaluation.top(5)
    for key in ("recall", "f1"):
        values = zip(evaluation.classes, getattr(evaluation, key), strict=True)
        row[f"val_{key}"] = {name: None if np.isnan(value) else float(value) for name, value in values}
    return {**row, "seconds": seconds}


def own_callbacks(state):
    """Mstl's own callbacks, in the order of what must not be lost."""
    extra = [TensorBoard(state.folder)] if state.config.tensorboard else []
    return [Checkpoints(), HistoryFiles(), PrintEpoch(), *extra, EarlyStop()]


@contextlib.contextmanager
def ends_cleanly(state, processes):
    """On Ctrl-C, end the loop instead of the process.

    last.ckpt is of the last finished epoch, so that --resume can do the interrupted one again; where none was
    finished, it gets the net as it is.
    """
    try:
        yield
    except KeyboardInterrupt:
        state.interrupted = True
        if not state.history and processes.is_first:
            save_checkpoint(state.folder / "last.ckpt", arrays(state.model), state.metadata())
        done, total = len(state.history), state.config.epochs
        logger.warning("interrupted after %d of %d epochs: last.ckpt saved", done, total)


def progress(batches, total, label, processes):
    """A progress bar on stderr, where that is a terminal."""
    from tqdm import tqdm

    silent = not (processes.is_first and sys.stderr.isatty())
    return tqdm(batches, total=total, desc=label, unit="batch", leave=False, disable=silent)
