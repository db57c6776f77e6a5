"""Snapshot: all that training changes, as it is at the end of an epoch; checkpoints are written from it, if later."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mstl.checkpoint import Arrays, first_not_finite
from mstl.evaluation.history import EpochRow

if TYPE_CHECKING:
    from mstl.training.state import TrainState


@dataclass(frozen=True)
class Snapshot:
    """A run at the end of an epoch.

    Only what moves is copied; the frozen parameters are the model's. There is no random state to keep: the order of the
    images, their augmentation and their mixing follow from seed, epoch and content.

    Attributes:
        history: A row for each epoch up to this one.
        metadata: The record that goes into a checkpoint of this epoch.
        trained: The parameters that are not frozen by name, BatchNorm statistics included.
        optimizer: The optimizer's state by name.
        average: The moving average of ``trained``; empty without.
        average_steps: The steps that it has taken in.
        loss_scale: The state of the loss scaler by name; empty without.
    """

    history: tuple[EpochRow, ...]
    metadata: dict[str, Any]
    trained: Arrays
    optimizer: Arrays
    average: Arrays
    average_steps: int
    loss_scale: Arrays

    @classmethod
    def of(cls, state: "TrainState") -> "Snapshot":
        """Take a snapshot."""
        phase, ema = state.phase, state.ema
        moving = {p.name: p for p in state.model.get_parameters() if id(p) not in phase.freeze.frozen_ids}
        average: Arrays = {}
        if ema is not None:
            average = {name: value.copy() for name, value in ema.to_arrays().items() if name in moving}
        return cls(
            tuple(state.history),
            state.metadata(),
            {name: parameter.asnumpy().copy() for name, parameter in moving.items()},
            {name: np.atleast_1d(parameter.asnumpy()).copy() for name, parameter in phase.optimizer.state.items()},
            average,
            0 if ema is None else ema.steps,
            {name: np.atleast_1d(value.asnumpy()).copy() for name, value in phase.loss_scale.items()},
        )

    @property
    def evaluated(self) -> Arrays:
        """The parameters that were validated: the moving average, if there is one."""
        return self.average or self.trained

    def not_finite(self) -> str | None:
        """The name of a parameter or state that is not finite; None if all are."""
        return first_not_finite({**self.trained, **self.average, **self.optimizer})
