"""Diverged: the error of a run whose numbers are not finite any more."""

from mstl.errors import MstlError
from mstl.training.state import TrainState


class Diverged(MstlError):
    """Training diverged.

    Args:
        state: The state of the run.
        epoch: The epoch in which that happened.
        learning_rate: The base learning rate of its last step; None if no steps are taken.
        what: What is not finite, with its verb.
    """

    def __init__(self, state: TrainState, epoch: int, learning_rate: float | None, what: str) -> None:
        kept = f"{state.folder} keeps epoch {len(state.history)}" if state.history else "nothing is kept"
        if learning_rate is None:
            super().__init__(f"the head cannot be solved for ({what} not finite): try --optimizer momentum")
            return
        super().__init__(
            f"training diverged in epoch {epoch}, at a learning rate of {learning_rate:.2g} ({what} not finite): "
            f"{kept}; start again with a lower one, such as --lr {state.config.lr / 10:.2g}"
        )
