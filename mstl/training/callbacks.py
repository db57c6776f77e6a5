"""What happens at the end of each epoch, one small object for each thing.

A callback has ``on_epoch_end(state)``; ``state`` is the :class:`mstl.training.loop.TrainState`.
"""

import csv
import io
import os

from mstl.checkpoint import save_checkpoint
from mstl.files import write_text

HISTORY_FIELDS = ("epoch", "lr", "train_loss", "val_loss", "val_accuracy", "seconds")


class PrintEpoch:
    """One line an epoch, on stdout."""

    def on_epoch_end(self, state):
        """Print loss, accuracy and time."""
        row = state.history[-1]
        print(
            f"epoch {row['epoch']}/{state.config.epochs}  train loss {row['train_loss']:.3f}  "
            f"val loss {row['val_loss']:.3f}  val accuracy {row['val_accuracy']:.3f} "
            f"({state.evaluation.correct}/{state.evaluation.total})  {row['seconds']:.1f} s",
            flush=True,
        )


class HistoryFile:
    """``history.csv``: a row an epoch, rewritten whole each time so that it is never half a file."""

    def on_epoch_end(self, state):
        """Write all rows so far."""
        text = io.StringIO()
        writer = csv.DictWriter(text, HISTORY_FIELDS, lineterminator=os.linesep)
        writer.writeheader()
        writer.writerows({key: _short(value) for key, value in row.items()} for row in state.history)
        write_text(state.folder / "history.csv", text.getvalue())


class Checkpoints:
    """``last.ckpt`` after each epoch, and ``best.ckpt`` whenever the validation accuracy is the highest so far.

    Of two epochs with the same accuracy, the one with the lower loss is the better.
    """

    def __init__(self):
        self.best = None

    def on_epoch_end(self, state):
        """Save what the net is now."""
        save_state(state, "last.ckpt")
        score = (state.evaluation.accuracy, -state.evaluation.loss)
        if self.best is None or score > self.best:
            self.best = score
            save_state(state, "best.ckpt")


def save_state(state, name):
    """Write the net and all that is needed to use it again."""
    parameters = {parameter.name: parameter.asnumpy() for parameter in state.net.get_parameters()}
    save_checkpoint(state.folder / name, parameters, state.metadata())


def _short(value):
    return f"{value:.6g}" if isinstance(value, float) else value
