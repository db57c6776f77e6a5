"""Where a training run stands."""

import contextlib
from dataclasses import dataclass, field
from pathlib import Path

import mstl
from mstl.config import TrainConfig
from mstl.evaluation.history import best_row
from mstl.evaluation.metrics import Evaluation
from mstl.evaluation.rejection import Rejector
from mstl.training.ema import MovingAverage


@dataclass
class TrainState:
    """What :func:`mstl.fit` returns, and what callbacks are given.

    Attributes:
        config: The settings, none of them open.
        net: The net, as it is now.
        classes: Names.
        preprocessing: How a photo becomes the net's input.
        folder: The run's folder.
        train_set, val_set: The :class:`mstl.data.dataset.ImageSet` that is trained on, and that which is validated on.
        data_digest: What tells whether a resumed run has the same data.
        history: A dict an epoch: epoch, lr, train_loss, val_loss, val_accuracy, val_macro_f1, val_top5 (of more than
            five classes), val_recall and val_f1 (by class), seconds.
        evaluation: Of the validation set, after the last epoch; None before the first.
        best_evaluation: The same after the best epoch; None where that was before the run was resumed.
        best_values: What this phase trains, as it was after the best epoch: a dict from name to array. None where that
            was in an earlier phase, or before the run was resumed; then best.ckpt alone has it.
        trust: The :class:`mstl.evaluation.rejection.Rejector` that best.ckpt holds; None before it is written, and where there are
            no features to fit it on.
        phase: The :class:`mstl.training.phase.Phase` that it is in.
        average: The moving average of the weights; None without.
        stop: Why the run ends before its last epoch; empty where it does not.
        interrupted: Whether Ctrl-C ended it.
        seconds: What the run took, known at its end.
    """

    config: TrainConfig
    model: object
    classes: tuple
    preprocessing: object
    folder: Path
    train_set: object
    val_set: object
    data_digest: str = ""
    history: list = field(default_factory=list)
    evaluation: Evaluation | None = None
    best_evaluation: Evaluation | None = None
    best_values: dict | None = None
    rejector: Rejector | None = None
    phase: object = None
    average: MovingAverage | None = None
    stop: str = ""
    interrupted: bool = False
    seconds: float = 0.0

    @property
    def best(self):
        """The history's best row, by ``config.best``; None before the first epoch."""
        return best_row(self.history, self.config.best)

    def _repr_html_(self):
        """What a notebook shows of the run."""
        from mstl.report.run_page import history_html

        return history_html(self.history, self.best_evaluation or self.evaluation)

    def averaged(self):
        """A context in which the net has the moving average's weights, where there is one."""
        return contextlib.nullcontext() if self.average is None else self.average.applied()

    def metadata(self):
        """What a checkpoint says about itself."""
        return {
            "mstl_version": mstl.__version__,
            "model": self.model.architecture,
            "padding": self.model.padding,
            "pool_padding": self.model.pool_padding,
            "classes": list(self.classes),
            "preprocessing": self.preprocessing.to_dict(),
            "metrics": dict(self.history[-1]) if self.history else {},
            "config": self.config.to_dict(),
        }
