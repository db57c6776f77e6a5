"""The state of a training run, which callbacks are given and ``mstl.fit`` returns."""

import contextlib
import dataclasses
import shlex
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

import mstl
from mstl.config import RECORD
from mstl.data.dataset import ImageSet
from mstl.evaluation.fold_evaluation import FoldEvaluation
from mstl.evaluation.history import EpochRow, best_row
from mstl.evaluation.metrics import Evaluation
from mstl.evaluation.rejection import Rejector
from mstl.models.contract import Classifier
from mstl.preprocessing import Preprocessing
from mstl.training.ema import MovingAverage
from mstl.training.phase import Phase
from mstl.training.recipes import ResolvedConfig
from mstl.training.record import RunRecord
from mstl.training.run_cost import Ledger, RunCost
from mstl.training.snapshot import Snapshot


@dataclass
class TrainState:
    """The state of a training run.

    Attributes:
        config: The settings, with the recipe's filled in.
        model: The model as it is now.
        preprocessing: How an image becomes the model's input.
        folder: The run's folder.
        train_set, val_set: The images to train and to validate on.
        test_set: The images to test the best epoch on, at the end of the run; None if there are none.
        phase: What is trained at present.
        record: What the run notes of what it used.
        ema: The moving average of the weights; None without.
        history: A row for each finished epoch.
        evaluation: The validation of the last epoch; None before the first.
        snapshot: Of the last epoch that this process has finished; None before the first.
        best_evaluation: The validation of the best epoch, the one in best.ckpt; None before the first.
        best_parameters: The parameters trained in this phase, by name, as they were after the best epoch. None if that
            was in an earlier phase or before the run was resumed; then only best.ckpt has them.
        test_evaluation: The best epoch's, on the test images; None before the end of the run, and without such images.
        out_of_fold: The cross-validation of the run; None before its end, and if it is not wanted.
        rejector: The rejector in best.ckpt; None until that is written, and if there are no features to fit it on.
        stop: A callback sets this to the reason to end the run after this epoch.
        stopped_by: The number of the signal that ended the run, such as that of Ctrl-C; None if none did.
        seconds: Duration of the run, known at its end.
        ledger: Measures what the run costs.
        to_html: How a notebook shows the state; None for its ``repr``.
    """

    config: ResolvedConfig
    model: Classifier
    preprocessing: Preprocessing
    folder: Path
    train_set: ImageSet
    val_set: ImageSet
    phase: Phase
    record: RunRecord = field(default_factory=RunRecord)
    ema: MovingAverage | None = None
    history: list[EpochRow] = field(default_factory=list)
    evaluation: Evaluation | None = None
    snapshot: Snapshot | None = None
    best_evaluation: Evaluation | None = None
    best_parameters: dict[str, NDArray[Any]] | None = None
    rejector: Rejector | None = None
    stop: str = ""
    stopped_by: int | None = None
    seconds: float = 0.0
    test_set: ImageSet | None = None
    test_evaluation: Evaluation | None = None
    out_of_fold: FoldEvaluation | None = None
    ledger: Ledger = field(default_factory=Ledger)
    to_html: "Callable[[TrainState], str] | None" = field(default=None, repr=False)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self.train_set.classes

    @property
    def image_sets(self) -> list[ImageSet]:
        """The images of each split: training, validation and, if there are any, test."""
        return [images for images in (self.train_set, self.val_set, self.test_set) if images is not None]

    @property
    def best(self) -> EpochRow | None:
        """The row of the best epoch, by ``config.best``; None before the first."""
        return best_row(self.history, self.config.best)

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C or another signal ended the run."""
        return self.stopped_by is not None

    @property
    def resume_command(self) -> str:
        """The command that goes on with the run."""
        return f"mstl train --resume {shlex.quote(str(self.folder))}"

    @property
    def cost(self) -> RunCost | None:
        """What the run has cost, as it was last noted; at its end, all of it."""
        return self.record.cost

    def note_cost(self) -> None:
        """Note in the record what the run has cost up to now."""
        self.record = dataclasses.replace(self.record, cost=self.ledger.cost())

    def left_to_do(self) -> str:
        """What makes up for callbacks that were stopped after training: the evaluation of test images, the report."""
        best, folder = (shlex.quote(str(path)) for path in (self.folder / "best.ckpt", self.folder))
        is_tested = self.test_set is None or self.test_evaluation is not None
        test = "" if is_tested else f"`mstl evaluate {best} --split test` evaluates its test images, "
        return f"{test}`mstl report {folder}` writes the report"

    def last_epoch(self) -> tuple[EpochRow, Evaluation]:
        """The row of the last finished epoch, and its validation.

        Raises:
            RuntimeError: No epoch is finished yet.
        """
        if not self.history or self.evaluation is None:
            raise RuntimeError("no epoch is finished yet")
        return self.history[-1], self.evaluation

    def _repr_html_(self) -> str | None:
        return None if self.to_html is None else self.to_html(self)

    def ema_applied(self) -> AbstractContextManager[None]:
        """A context in which the model has the averaged weights, if there is a moving average."""
        return contextlib.nullcontext() if self.ema is None else self.ema.applied()

    def parameter_arrays(self) -> dict[str, NDArray[Any]]:
        """The model's parameters by name."""
        return {parameter.name: parameter.asnumpy() for parameter in self.model.get_parameters()}

    def metadata(self) -> dict[str, Any]:
        """The record that goes into a checkpoint."""
        return {
            "mstl_version": mstl.__version__,
            "model": self.model.architecture,
            "padding": self.model.padding,
            "pool_padding": self.model.pool_padding,
            "classes": list(self.classes),
            "preprocessing": self.preprocessing.to_dict(),
            "metrics": dict(self.history[-1]) if self.history else {},
            "config": self.config.to_dict(),
            RECORD: self.record.to_dict(),
        }
