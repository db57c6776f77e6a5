"""The callback that writes best.ckpt and last.ckpt."""

import logging
import time
from typing import Any

from numpy.typing import NDArray

from mstl.checkpoint import save_checkpoint
from mstl.errors import MstlError
from mstl.evaluation.metrics import Evaluation
from mstl.evaluation.rejection import Rejector, fit_rejector
from mstl.training.leftovers import previous_kept
from mstl.training.resume import save_last
from mstl.training.snapshot import Snapshot
from mstl.training.state import TrainState

logger = logging.getLogger("mstl")


class CheckpointSaver:
    """Writes ``best.ckpt`` of the best epoch so far and ``last.ckpt`` of the last epoch.

    ``last.ckpt`` also holds what ``--resume`` needs. It is written after ``best.ckpt``, so that a run killed between
    the two is resumed from an earlier epoch.

    Epochs on cached features are shorter than the time it takes to write. Not all of them are written, so that writing
    takes no more than a tenth of the time, and none of a run's first seconds; ``on_end`` writes the last, however the
    run ends. Both files are written from the :class:`mstl.training.snapshot.Snapshot` of their epoch. It holds the
    trained parameters alone, as the others do not change before the next phase: before that, all is written.
    """

    TIME_SHARE = 0.1
    UNWRITTEN = 2.0  # seconds

    def __init__(self) -> None:
        self.unsaved_best: tuple[dict[str, NDArray[Any]], dict[str, Any], Evaluation] | None = None
        self.snapshot: Snapshot | None = None  # of the last epoch, if it is not on disk
        self.next_save = 0.0  # on the monotonic clock, in seconds

    def on_start(self, _state: TrainState) -> None:
        """Begin to count the seconds."""
        self.next_save = time.monotonic() + self.UNWRITTEN

    def on_epoch_end(self, state: TrainState) -> None:
        """Keep the model as it is now, in memory if not on disk."""
        row, evaluation = state.last_epoch()
        self.snapshot = state.snapshot
        if self.snapshot is not None and state.best is row:
            state.best_parameters = self.snapshot.evaluated
            self.unsaved_best = state.best_parameters, self.snapshot.metadata, evaluation
        if time.monotonic() >= self.next_save or row["epoch"] + 1 == state.config.unfreeze_at:
            self.save(state)

    def on_end(self, state: TrainState) -> None:
        """Write what is not on disk yet."""
        self.save(state)

    def save(self, state: TrainState) -> None:
        """Write best.ckpt, if there is a new one, and last.ckpt, unless both are written."""
        if self.snapshot is None:
            return
        started = time.monotonic()
        with previous_kept(state.folder / "best.ckpt"):
            if self.unsaved_best is not None:
                save_best(state, *self.unsaved_best)
            save_last(state, self.snapshot)
        self.unsaved_best, self.snapshot = None, None
        ended = time.monotonic()
        self.next_save = ended + (ended - started) * (1 / self.TIME_SHARE - 1)


def save_best(
    state: TrainState, trained: dict[str, NDArray[Any]], metadata: dict[str, Any], evaluation: Evaluation
) -> None:
    """Write best.ckpt, with a rejector fitted on the validation images.

    Args:
        state: The state of the run, from which the frozen parameters are taken.
        trained: The other parameters of the best epoch by name.
        metadata: The record of the best epoch.
        evaluation: Its validation.
    """
    arrays = {**state.parameter_arrays(), **trained}
    state.rejector = rejector_or_none(evaluation)
    if state.rejector is not None:
        arrays, metadata = {**arrays, **state.rejector.arrays()}, {**metadata, "trust": state.rejector.to_record()}
    save_checkpoint(state.folder / "best.ckpt", arrays, metadata)


def rejector_or_none(evaluation: Evaluation) -> Rejector | None:
    """A rejector fitted on an evaluation, if that has features and they allow it."""
    if evaluation.features is None:
        return None
    try:
        return fit_rejector(evaluation)
    except MstlError as error:
        logger.warning("best.ckpt has no rejection of unknown images: %s", error)
        return None
