"""What happens at the end of each epoch, one small object for each thing.

A callback has ``on_epoch_end(state)``, and ``on_end(state)`` where it has something to finish; ``state`` is the
:class:`mstl.training.state.TrainState`. It may set ``state.stop`` to a sentence that says why, which ends the run.
"""

import csv
import io
import logging
import time

import numpy as np

from mstl.checkpoint import save_checkpoint
from mstl.errors import MstlError
from mstl.evaluation.rejection import fit_rejector
from mstl.files import write_json, write_text
from mstl.training.resume import STATE

logger = logging.getLogger("mstl")

HISTORY_FIELDS = ("epoch", "lr", "train_loss", "val_loss", "val_accuracy", "seconds")


class PrintEpoch:
    """One line an epoch, on stdout."""

    def on_epoch_end(self, state):
        """Print losses, accuracy with its confidence interval, and time."""
        row, evaluation = state.history[-1], state.evaluation
        low, high = evaluation.interval
        more = f"  top-5 {row['val_top5']:.3f}" if "val_top5" in row else ""
        print(
            f"epoch {row['epoch']}/{state.config.epochs}  loss {row['train_loss']:.3f}, val {row['val_loss']:.3f}  "
            f"accuracy {row['val_accuracy']:.3f} ({low:.3f} to {high:.3f}), n = {evaluation.total}{more}  "
            f"macro-F1 {row['val_macro_f1']:.3f}  {row['seconds']:.1f} s",
            flush=True,
        )


class HistoryFiles:
    """``history.csv``, a row an epoch, and ``history.json`` with the figures of each class too.

    Both are rewritten whole each time, so that they are never half a file.
    """

    def on_epoch_end(self, state):
        """Write all rows so far."""
        fields = [*HISTORY_FIELDS, "val_macro_f1", *(["val_top5"] if "val_top5" in state.history[0] else [])]
        text = io.StringIO()
        writer = csv.DictWriter(text, fields, lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        writer.writerows({key: _short(value) for key, value in row.items()} for row in state.history)
        write_text(state.folder / "history.csv", text.getvalue())
        write_json(state.folder / "history.json", state.history)


class Checkpoints:
    """``best.ckpt`` of the best validation so far, ``last.ckpt`` of the last epoch.

    Of two epochs with the same accuracy, the one with the lower loss is the better. ``last.ckpt`` also holds what
    ``--resume`` needs; it is written last, so that a run killed between the two goes on from an older epoch.

    Where epochs are quick, as on kept features, writing takes longer than training: then not every epoch is written,
    so that it takes a tenth of the time, and the last one in the end. Until then only what is trained is kept, as the
    rest stays as it is; so the best net is written before a phase begins that trains more.
    """

    SHARE = 0.1

    def __init__(self):
        self.best = self.row = None
        self.due = 0.0

    def on_epoch_end(self, state):
        """Keep what the net is now, in memory if not on disk."""
        self.row = state.history[-1]
        if state.best is self.row:
            with state.averaged():
                state.best_values = moving(state)
            self.best = state.metadata(), state.evaluation
        if time.monotonic() >= self.due or self.row["epoch"] + 1 == state.config.unfreeze_at:
            self.save(state)

    def on_end(self, state):
        """Write what is not on disk yet."""
        if self.row is not None:
            self.save(state)

    def save(self, state):
        """Write both, as far as they are new."""
        started = time.monotonic()
        if self.best is not None:
            self.save_best(state, *self.best)
        save_last(state)
        self.best = self.row = None
        ended = time.monotonic()
        self.due = ended + (ended - started) * (1 / self.SHARE - 1)

    def save_best(self, state, metadata, evaluation):
        """Write best.ckpt, with what tells when not to trust it, fitted on the validation photos."""
        values = {**arrays(state.model), **state.best_values}
        try:
            state.rejector = None if evaluation.features is None else fit_rejector(evaluation)
        except MstlError as error:
            logger.warning("best.ckpt cannot tell what it does not know: %s", error)
            state.rejector = None
        if state.rejector is not None:
            values, metadata = {**values, **state.rejector.arrays()}, {**metadata, "trust": state.rejector.to_record()}
        save_checkpoint(state.folder / "best.ckpt", values, metadata)


class EarlyStop:
    """Ends the run after ``patience`` epochs without a better one."""

    def on_epoch_end(self, state):
        """Count epochs since the best."""
        since = state.history[-1]["epoch"] - state.best["epoch"]
        if state.config.patience and since >= state.config.patience:
            state.stop = f"no better epoch for {since}: stopped early"


class TensorBoard:
    """Curves for TensorBoard, in the run's folder, by tensorboardX.

    Raises:
        MstlError: tensorboardX is not installed.
    """

    def __init__(self, folder):
        try:
            from tensorboardX import SummaryWriter
        except ImportError as error:
            raise MstlError('--tensorboard needs tensorboardX: `pip install "mstl[tensorboard]"`') from error
        self.writer = SummaryWriter(str(folder / "tensorboard"))

    def on_epoch_end(self, state):
        """Add the newest row."""
        row = state.history[-1]
        for key in ("lr", "train_loss", "val_loss", "val_accuracy", "val_macro_f1"):
            self.writer.add_scalar(key, row[key], row["epoch"])

    def on_end(self, state):
        """Write what is still waiting."""
        self.writer.close()


def save_last(state):
    """Write last.ckpt: the net, its record, and the state of everything else that a resumed run needs."""
    values = arrays(state.model)
    for name, parameter in state.phase.stepper.state.items():
        values[f"{STATE}optimizer/{name}"] = np.atleast_1d(parameter.asnumpy())
    if state.average is not None:
        values.update({f"{STATE}average/{name}": value for name, value in state.average.to_arrays().items()})
    record = {
        **state.metadata(),
        "resume": {
            "history": state.history,
            "data": state.data_digest,
            "average_steps": state.average.steps if state.average is not None else 0,
        },
    }
    save_checkpoint(state.folder / "last.ckpt", values, record)


def moving(state):
    """A copy of the parameters that are not still in this phase, as a dict from name to array."""
    still = state.phase.policy.still
    parameters = (parameter for parameter in state.model.get_parameters() if id(parameter) not in still)
    return {parameter.name: parameter.asnumpy().copy() for parameter in parameters}


def arrays(model):
    """A net's parameters, as a dict from name to array."""
    return {parameter.name: parameter.asnumpy() for parameter in model.get_parameters()}


def _short(value):
    return f"{value:.6g}" if isinstance(value, float) else value
