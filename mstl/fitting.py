"""``mstl.fit``: a training run with plots and a report at its end."""

from collections.abc import Iterable
from os import PathLike
from typing import Any

from mstl.config import TrainConfig
from mstl.report.cross_validated_run import FoldWriter
from mstl.report.final_test import FinalTest
from mstl.report.report_writer import ReportWriter
from mstl.runtime import mindspore_thread
from mstl.training.state import TrainState
from mstl.training.trainer import run_training


@mindspore_thread.held()
def fit(
    config: TrainConfig | None = None,
    callbacks: Iterable[object] = (),
    resume: str | PathLike[str] | None = None,
    **options: Any,
) -> TrainState:
    """Fine-tune a model on a folder of images.

    Args:
        config: The settings; made from ``options`` if not given.
        callbacks: Objects with any of ``on_start(state)``, ``on_epoch_end(state)`` and ``on_end(state)``, called after
            mstl's own (:mod:`mstl.training.callbacks`).
        resume: The folder of a run to go on with, with its own settings; more epochs may be given.
        **options: Fields of :class:`mstl.TrainConfig`, such as ``data="Canidae"``, ``epochs=3``.

    Returns:
        The state at the end. The run's folder holds best.ckpt, last.ckpt, config.json, history.csv, history.json,
        curves.png, predictions.png, report.html and, for ``mstl report``, report.npz; also test.json if the data has a
        test split besides one to validate on, and folds.csv, folds.json and folds.npz of a cross-validation. A folder
        that already holds a run is left alone: the new one gets ``-2`` after its name.

    Raises:
        MstlError: Settings, data, weights or folder are invalid.
    """
    return run_training(
        config or TrainConfig(**options), [FinalTest(), FoldWriter(), *callbacks, ReportWriter()], resume
    )
