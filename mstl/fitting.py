"""``mstl.fit``: a training run, with its pictures and page at the end."""

from collections.abc import Iterable
from os import PathLike
from typing import Any

from mstl.config import TrainConfig
from mstl.report.run_pages import RunPages
from mstl.training.state import TrainState
from mstl.training.trainer import run_training


def fit(
    config: TrainConfig | None = None,
    callbacks: Iterable[Any] = (),
    resume: str | PathLike[str] | None = None,
    **options: Any,
) -> TrainState:
    """Fine-tune a model on a folder of images.

    Args:
        config: The settings; made from ``options`` if not given.
        callbacks: Objects with ``on_epoch_end(state)`` and, if they like, ``on_end(state)``, called after mstl's own.
        resume: The folder of a run to go on with, in its own settings; more epochs may be given.
        **options: Fields of :class:`mstl.TrainConfig`, such as ``data="Canidae"``, ``epochs=3``.

    Returns:
        The state at the end. The run's folder holds best.ckpt, last.ckpt, config.json, history.csv, history.json,
        curves.png, predictions.png, report.html and, for ``mstl report``, report.npz. A folder that holds a run
        already is not touched: the new one gets ``-2`` after its name.

    Raises:
        MstlError: Settings, data, weights or folder are not right.
    """
    return run_training(config or TrainConfig(**options), [*callbacks, RunPages()], resume)
