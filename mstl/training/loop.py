"""``fit``: the whole of a training run, read from top to bottom."""

import contextlib
import logging
import sys
import time

import mindspore as ms
import numpy as np

from mstl.checkpoint import save_checkpoint
from mstl.config import TrainConfig
from mstl.training.callbacks import Checkpoints, EarlyStop, HistoryFiles, PrintEpoch, TensorBoard, arrays
from mstl.training.finish import finish
from mstl.training.setup import open_folder, prepare

logger = logging.getLogger("mstl")

# Losses. To ask for each would make the device wait for the processor at every step; to ask for none lets the processor
# run ahead by a whole epoch, whose batches are then all in memory at once.
READ_TOGETHER = 16


def fit(config=None, callbacks=(), resume=None, **options):
    """Fine-tune a net on a folder of photos.

    Args:
        config: A :class:`mstl.TrainConfig`; made from ``options`` if not given.
        callbacks: Objects with ``on_epoch_end(state)`` and, if they like, ``on_end(state)``, called after mstl's own.
        resume: The folder of a run to go on with, in its own settings; more epochs may be given.
        **options: Fields of TrainConfig, such as ``data="Canidae"``, ``epochs=3``.

    Returns:
        The :class:`mstl.training.state.TrainState` at the end. The run's folder holds best.ckpt, last.ckpt,
        config.json, history.csv, history.json, curves.png, predictions.png, report.html and, for ``mstl report``,
        report.npz. A folder that holds a run already is not touched: the new one gets ``-2`` after its name.

    Raises:
        MstlError: Settings, data, weights or folder are not right.
    """
    began = time.perf_counter()
    session = prepare(config or TrainConfig(**options), resume)
    open_folder(session, resume is not None)
    state, world = session.state, session.world
    callbacks = [*own_callbacks(state), *callbacks] if world.first else []

    with ends_cleanly(state, world):
        session.compute_features()
        for epoch in range(len(state.history) + 1, state.config.epochs + 1):
            started = time.perf_counter()
            if epoch == state.config.unfreeze_at:
                session.begin_phase(epoch)
                session.compute_features()
            train_loss, rate = train_epoch(session, epoch)
            with state.averaged():
                state.evaluation = session.validate()
            state.history.append(row_of(epoch, rate, train_loss, state.evaluation, time.perf_counter() - started))
            if state.best is state.history[-1]:
                state.best_evaluation = state.evaluation
            for callback in callbacks:
                callback.on_epoch_end(state)
            if world.sum([float(bool(state.stop))])[0]:  # only the first process has callbacks; all must stop
                logger.info(state.stop)
                break

    for callback in callbacks:
        if hasattr(callback, "on_end"):
            callback.on_end(state)
    if state.evaluation is not None and world.first:
        finish(session, time.perf_counter() - began)
    # MindSpore keeps what it compiled for a net, with that net's parameters, for as long as the process lives: in a
    # notebook, every further run would take as much memory again. What is still in use is compiled anew.
    ms.ms_memory_recycle()
    return state


def train_epoch(session, epoch):
    """One pass over the training photos.

    Returns:
        The mean loss over all photos and processes, and the last learning rate.
    """
    state, phase, count = session.state, session.state.phase, len(session.train_loader)
    phase.policy.set_train()
    total, photos, waiting = 0.0, 0, []
    batches = progress(session.batches(epoch), count, f"epoch {epoch}", session.world)
    for index, (inputs, targets, size) in enumerate(batches):
        rate = phase.rate(epoch - 1 + index / count)
        waiting.append((phase.train_step(inputs, targets, rate, last=index + 1 == count), size))
        if state.average is not None:
            state.average.update(phase.policy.still)
        photos += size
        if len(waiting) == READ_TOGETHER or index + 1 == count:
            total += sum(float(loss.asnumpy()) * size for loss, size in waiting)
            waiting.clear()
    total, photos = session.world.sum([total, float(photos)])
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
def ends_cleanly(state, world):
    """On Ctrl-C, end the loop instead of the process.

    last.ckpt is of the last finished epoch, so that --resume can do the interrupted one again; where none was
    finished, it gets the net as it is.
    """
    try:
        yield
    except KeyboardInterrupt:
        state.interrupted = True
        if not state.history and world.first:
            save_checkpoint(state.folder / "last.ckpt", arrays(state.net), state.metadata())
        done, total = len(state.history), state.config.epochs
        logger.warning("interrupted after %d of %d epochs: last.ckpt saved", done, total)


def progress(batches, total, label, world):
    """A progress bar on stderr, where that is a terminal."""
    from tqdm import tqdm

    silent = not (world.first and sys.stderr.isatty())
    return tqdm(batches, total=total, desc=label, unit="batch", leave=False, disable=silent)
