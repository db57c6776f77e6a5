"""Callbacks: what happens at the end of each epoch.

A callback is any object with some of the methods ``on_start(state)``, ``on_epoch_end(state)`` and ``on_end(state)``,
where ``state`` is the :class:`mstl.training.state.TrainState`. To end the run, it sets ``state.stop`` to the reason.
"""

import csv
import io
import json
from collections.abc import Iterable
from typing import Literal

from mstl.files import write_text
from mstl.training.checkpoint_saver import CheckpointSaver
from mstl.training.state import TrainState
from mstl.training.trackers import trackers_of

HISTORY_FIELDS = ("epoch", "lr", "train_loss", "val_loss", "val_accuracy", "seconds", "val_macro_f1")


def default_callbacks(state: TrainState) -> list[object]:
    """The callbacks of every run, in the order of what must not be lost."""
    return [CheckpointSaver(), HistoryWriter(), EpochPrinter(), *trackers_of(state.config), EarlyStopping()]


def notify(
    callbacks: Iterable[object], event: Literal["on_start", "on_epoch_end", "on_end"], state: TrainState
) -> None:
    """Call the method of this name of each callback that has one."""
    for callback in callbacks:
        if hasattr(callback, event):
            getattr(callback, event)(state)


class EpochPrinter:
    """Prints a line for each epoch to stdout."""

    def on_epoch_end(self, state: TrainState) -> None:
        """Print losses, accuracy with its confidence interval, and time."""
        row, evaluation = state.last_epoch()
        low, high = evaluation.interval
        top5 = f"  top-5 {row['val_top5']:.3f}" if "val_top5" in row else ""
        print(
            f"epoch {row['epoch']}/{state.config.epochs}  loss {row['train_loss']:.3f}, val {row['val_loss']:.3f}  "
            f"accuracy {row['val_accuracy']:.3f} ({low:.3f} to {high:.3f}), n = {evaluation.total}{top5}  "
            f"macro-F1 {row['val_macro_f1']:.3f}  {row['seconds']:.1f} s",
            flush=True,
        )


class HistoryWriter:
    """Writes ``history.csv``, a row for each epoch, and ``history.json``, which has recall and F1 by class too.

    Both are rewritten as a whole each time, so that they are never incomplete.
    """

    def on_epoch_end(self, state: TrainState) -> None:
        """Write all rows so far."""
        fields = [*HISTORY_FIELDS, *(["val_top5"] if "val_top5" in state.history[0] else [])]
        text = io.StringIO()
        writer = csv.DictWriter(text, fields, lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        writer.writerows({key: _shortened(value) for key, value in row.items()} for row in state.history)
        write_text(state.folder / "history.csv", text.getvalue())
        # Indented, the figures of 1,000 classes would be 2,000 lines an epoch, and take 20 times as long
        rows = ",\n".join(json.dumps(row, ensure_ascii=False) for row in state.history)
        write_text(state.folder / "history.json", f"[\n{rows}\n]\n")


class EarlyStopping:
    """Ends the run after ``patience`` epochs without improvement."""

    def on_epoch_end(self, state: TrainState) -> None:
        """Count the epochs since the best."""
        best, patience = state.best, state.config.patience
        if best is None or not patience:
            return
        epochs = state.history[-1]["epoch"] - best["epoch"]
        if epochs >= patience:
            state.stop = f"no improvement for {epochs} epochs: stopped early"


def _shortened(value: object) -> object:
    return f"{value:.6g}" if isinstance(value, float) else value
