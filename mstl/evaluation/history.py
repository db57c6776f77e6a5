"""The history of a run: one row an epoch, and which of them is best."""

from collections.abc import Sequence
from typing import TypedDict


class _Always(TypedDict):
    epoch: int
    lr: float | None
    train_loss: float
    val_loss: float
    val_accuracy: float
    val_macro_f1: float
    val_recall: dict[str, float | None]
    val_f1: dict[str, float | None]
    seconds: float


class EpochRow(_Always, total=False):
    """What a run knows of an epoch; ``history.json`` holds a list of these.

    ``epoch`` counts from 1, ``lr`` is the base learning rate of the last step, None where the head
    was solved for, losses are in nats, the others from 0
    to 1. ``val_recall`` and ``val_f1`` are by class, None where the class has no images. ``val_top5`` is there with
    more than five classes.
    """

    val_top5: float


def best_row(history: Sequence[EpochRow], by: str | None) -> EpochRow | None:
    """The row of the best epoch.

    Args:
        history: The rows so far.
        by: ``"loss"`` for the lowest validation loss; else the highest validation accuracy, and of epochs with the
            same accuracy the one with the lowest loss.

    Returns:
        The first of equally good rows; None of an empty history.
    """
    if by == "loss":
        return min(history, key=lambda row: row["val_loss"], default=None)
    return max(history, key=lambda row: (row["val_accuracy"], -row["val_loss"]), default=None)
