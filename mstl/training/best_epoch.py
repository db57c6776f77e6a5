"""The best epoch: its weights in the model for a while, and its validation where that was before a run was resumed."""

import contextlib
from collections.abc import Iterator

import mindspore as ms
import numpy as np

from mstl.checkpoint import read_checkpoint
from mstl.errors import MstlError
from mstl.evaluation.rejection import read_rejector
from mstl.models import layers
from mstl.training.run import TrainingRun
from mstl.training.state import TrainState


@contextlib.contextmanager
def best_weights(state: TrainState) -> Iterator[None]:
    """In this block, the model has the weights of the best epoch."""
    if state.best is state.history[-1] and state.ema is None:
        yield
        return
    best = state.best_parameters or read_checkpoint(state.folder / "best.ckpt")[0]
    differing = [
        (parameter, best[parameter.name], parameter.value().copy())
        for parameter in state.model.get_parameters()
        if parameter.name in best and not np.array_equal(parameter.asnumpy(), best[parameter.name])
    ]
    del best
    try:
        for parameter, value, _ in differing:
            layers.assign(parameter, ms.Tensor(value))
        yield
    finally:
        for parameter, _, own in differing:
            layers.assign(parameter, own)


def recall_best(run: TrainingRun) -> None:
    """Give a resumed run what is known of its best epoch: the rejector in best.ckpt, and its validation, done again.

    Raises:
        MstlError: There is no best.ckpt, or it is of another epoch.
    """
    state = run.state
    if state.best is None:
        return
    path, epoch = state.folder / "best.ckpt", state.best["epoch"]
    if not path.exists():
        raise MstlError(f"cannot resume {state.folder}: best.ckpt, of its epoch {epoch}, is gone; start a new run")
    arrays, metadata = read_checkpoint(path)
    found = (metadata or {}).get("metrics", {}).get("epoch")
    if found != epoch:
        raise MstlError(f"cannot resume {state.folder}: its best epoch is {epoch}, but best.ckpt is of {found}")
    state.rejector = read_rejector(metadata or {}, arrays)
    with best_weights(state):
        state.best_evaluation = run.validate()
