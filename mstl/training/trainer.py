"""The training loop: ``run_training`` is a whole run, to be read from top to bottom."""

import dataclasses
import logging
import signal
import time
from collections.abc import Iterable
from os import PathLike
from typing import cast

import mindspore as ms
import numpy as np

from mstl.checkpoint import read_checkpoint
from mstl.config import TrainConfig
from mstl.data.load_data import DataSplits
from mstl.evaluation.history import EpochRow
from mstl.evaluation.metrics import Evaluation
from mstl.runtime import mindspore_thread, stopping
from mstl.training import run_dir
from mstl.training.best_epoch import recall_best
from mstl.training.callbacks import default_callbacks, notify
from mstl.training.diverged import Diverged
from mstl.training.epoch import train_epoch
from mstl.training.estimate import settle
from mstl.training.folds import folds_of_run
from mstl.training.resume import restore_parameters
from mstl.training.run import TrainingRun
from mstl.training.setup import log_setup, prepare
from mstl.training.snapshot import Snapshot
from mstl.training.solved_head import solve_head
from mstl.training.state import TrainState
from mstl.training.trackers import trackers_of

logger = logging.getLogger("mstl")


@mindspore_thread.held()
def run_training(
    config: TrainConfig,
    callbacks: Iterable[object] = (),
    resume: str | PathLike[str] | None = None,
    splits: DataSplits | None = None,
) -> TrainState:
    """Fine-tune a model; :func:`mstl.fit` does so too, and adds plots and a report.

    Ctrl-C, and in a command other signals that ask it to end, stop the run between two steps: the epoch that is not
    finished is dropped.

    Args:
        config: The settings.
        callbacks: See :mod:`mstl.training.callbacks`; called after the default ones.
        resume: The folder of a run to go on with; None for a new run.
        splits: The images of a new run, where they are loaded already; None to load what the settings say.

    Returns:
        The state at the end.

    Raises:
        MstlError: Settings, data, weights or folder are invalid, or training diverges.
        Stopped: The run was asked to stop before its first step, or after its last.
    """
    started = time.perf_counter()
    run_dir.check_writable(config, resume)
    trackers_of(config)  # one that is not installed is said before the data is read
    run = prepare(config, resume, splits)
    estimate = settle(run, config, started)
    if run.processes.is_first:
        log_setup(run)
        for line in estimate.lines if estimate is not None else ():
            logger.info("%s", line)
        with run_dir.opened(run.state, resumed=resume is not None), run_dir.cost_kept(run.state):
            supervise(run, default_callbacks(run.state), [*callbacks], resume is not None, started)
        if estimate is not None and not run.state.interrupted:
            logger.info("%s", estimate.compared())
    else:
        supervise(run, [], [], resume is not None, started)
    # MindSpore keeps compiled graphs, with the parameters of their models, for as long as the process lives: in a
    # notebook, each further run would take as much memory again. What is still in use is compiled anew.
    ms.ms_memory_recycle()
    return run.state


def supervise(run: TrainingRun, own: list[object], others: list[object], resumed: bool, started: float) -> None:
    """Train until the end, a request to stop or an error, and do what is to be done then.

    Args:
        run: The run.
        own: Its default callbacks, whose work is kept however training ends.
        others: Further callbacks, at whose end the run's duration is known.
        resumed: Whether some epochs were trained earlier.
        started: When the run started, on the performance counter.
    """
    state, processes = run.state, run.processes
    notify([*own, *others], "on_start", state)
    try:
        with stopping.deferred():
            try:
                train(run, [*own, *others], resumed)
            finally:  # however training ends: the finished epochs are kept
                notify(own, "on_end", state)
        if processes.size == 1:
            stopping.check()
    except KeyboardInterrupt as request:
        end_early(run, request)
    except Diverged:
        processes.any(False)  # in all processes: wait for the first one, which writes
        raise
    except Exception:
        if processes.is_first and (state.folder / "last.ckpt").exists():
            logger.warning("the last checkpoint is kept: %s goes on from there", state.resume_command)
        raise

    state.seconds = time.perf_counter() - started
    try:
        notify(others, "on_end", state)
    except stopping.Stopped as request:
        raise stopping.Stopped(request.signum, f"stopped after training: {state.left_to_do()}") from None


def train(run: TrainingRun, callbacks: Iterable[object], resumed: bool) -> None:
    """Train epoch after epoch.

    Raises:
        Stopped: The process was asked to stop.
        Diverged: Loss, answers or weights are not finite any more.
    """
    state, processes = run.state, run.processes
    run.compute_features()
    run.clock.begin(len(state.history), state.phase.last_epoch)
    if resumed:
        processes.any(False)  # wait for the first process, which tidies the folder
        recall_best(run)
    for epoch in range(len(state.history) + 1, state.config.epochs + 1):
        started = time.perf_counter()
        if epoch == state.config.unfreeze_at:
            run.begin_phase(epoch)
            run.compute_features()
            run.clock.begin(epoch - 1, state.phase.last_epoch)
        is_solved = state.config.optimizer == "lbfgs"
        with state.ledger.part("training"):
            train_loss, learning_rate = (solve_head(run), None) if is_solved else train_epoch(run, epoch)
        run.average_statistics()
        end_in_time(run, epoch)
        trained = time.perf_counter()
        with (
            state.ledger.part("evaluation"),
            state.ema_applied(),
            np.errstate(over="ignore", invalid="ignore"),  # which the next lines look at
        ):
            evaluation = run.validate()
        run.clock.validation = time.perf_counter() - trained
        run.note_engine()
        if not np.isfinite(evaluation.logits).all():
            raise Diverged(state, epoch, learning_rate, "answers for validation images are")
        state.note_cost()  # for last.ckpt
        finish_epoch(state, epoch_row(epoch, learning_rate, train_loss, evaluation, started), evaluation)
        notify(callbacks, "on_epoch_end", state)
        # Only the first process has callbacks, but all must stop
        (ended,) = processes.any(bool(state.stop))
        if ended:
            logger.info(state.stop)
            break
    with state.ledger.part("evaluation"):
        state.out_of_fold = folds_of_run(run)


def end_in_time(run: TrainingRun, epoch: int) -> None:
    """Make an epoch the last one, if the time limit has brought the schedule to its end in it."""
    state = run.state
    if not run.clock.is_over or epoch == state.config.epochs or state.phase.last_epoch < state.config.epochs:
        return
    state.stop = (
        f"time limit: the schedule has come to its end in epoch {epoch}, of {state.config.epochs} that were planned"
    )
    state.config = dataclasses.replace(state.config, epochs=epoch)  # so that there is nothing left to resume
    if run.processes.is_first:
        run_dir.write_config(state)


def finish_epoch(state: TrainState, row: EpochRow, evaluation: Evaluation) -> None:
    """Add an epoch to the state, if all is finite.

    Finite answers do not say so: MindSpore's ReLU makes 0 of NaN.
    """
    state.history.append(row)
    snapshot = Snapshot.of(state)
    broken = snapshot.not_finite()
    if broken is not None:
        state.history.pop()
        raise Diverged(state, row["epoch"], row["lr"], f"values of {broken} are")
    state.snapshot, state.evaluation = snapshot, evaluation
    if state.best is row:
        state.best_evaluation = evaluation


def epoch_row(
    epoch: int, learning_rate: float | None, train_loss: float, evaluation: Evaluation, started: float
) -> EpochRow:
    """The row in the history of an epoch that started then, on the performance counter, and ends now."""
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
        "seconds": time.perf_counter() - started,
    }
    return cast(EpochRow, row)


def end_early(run: TrainingRun, request: KeyboardInterrupt) -> None:
    """Say that the run was stopped, and give the model back what last.ckpt has: the unfinished epoch is dropped."""
    state = run.state
    state.stopped_by = request.signum if isinstance(request, stopping.Stopped) else signal.SIGINT
    if state.snapshot is not None:
        state.history = list(state.snapshot.history)
    if not run.processes.is_first:
        return
    done, total = len(state.history), state.config.epochs
    if not done:
        logger.warning("stopped before the first epoch was finished: start again")
        return
    restore_parameters(state.model, read_checkpoint(state.folder / "last.ckpt")[0])
    goes_on = f"{state.resume_command} goes on" if done < total else "all are finished"
    logger.warning("stopped after epoch %d of %d: %s", done, total, goes_on)
