"""``fit``: the whole of a training run, read from top to bottom."""

import contextlib
import logging
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import mstl
from mstl import compat
from mstl.config import TrainConfig
from mstl.data.datasets import load_data
from mstl.data.loader import Loader
from mstl.data.transforms import eval_transforms, train_transforms
from mstl.files import make_folder, write_json
from mstl.metrics import Evaluation
from mstl.models.builders import build_model
from mstl.report import plots
from mstl.runtime import set_seed, use_device
from mstl.training.callbacks import Checkpoints, HistoryFile, PrintEpoch, save_state
from mstl.training.evaluate import evaluate
from mstl.training.freeze import POLICIES
from mstl.training.step import make_train_step

logger = logging.getLogger("mstl")


@dataclass
class TrainState:
    """Where a run stands; what :func:`fit` returns, and what callbacks are given.

    Attributes:
        config: The settings.
        net: The net, as it is now.
        classes: Names.
        preprocessing: How a photo becomes the net's input.
        folder: The run's folder.
        history: A dict an epoch: epoch, lr, train_loss, val_loss, val_accuracy, seconds.
        evaluation: Of the validation set, after the last epoch; None before the first.
        interrupted: Whether Ctrl-C ended the run.
    """

    config: TrainConfig
    net: object
    classes: tuple
    preprocessing: object
    folder: Path
    history: list = field(default_factory=list)
    evaluation: Evaluation | None = None
    interrupted: bool = False

    @property
    def best(self):
        """The row with the highest validation accuracy (of equals, the lowest loss); None before the first."""
        return max(self.history, key=lambda row: (row["val_accuracy"], -row["val_loss"]), default=None)

    def metadata(self):
        """What a checkpoint says about itself."""
        return {
            "mstl_version": mstl.__version__,
            "model": self.net.model,
            "padding": self.net.padding,
            "pool_padding": self.net.pool_padding,
            "classes": list(self.classes),
            "preprocessing": self.preprocessing.to_dict(),
            "metrics": dict(self.history[-1]) if self.history else {},
            "config": self.config.to_dict(),
        }


def fit(config=None, callbacks=(), **options):
    """Fine-tune a net on a folder of photos.

    Args:
        config: A :class:`mstl.TrainConfig`; made from ``options`` if not given.
        callbacks: Objects with ``on_epoch_end(state)``, called after mstl's own.
        **options: Fields of TrainConfig, such as ``data="Canidae"``, ``epochs=3``.

    Returns:
        The :class:`TrainState` at the end. The run's folder holds best.ckpt, last.ckpt, config.json, history.csv,
        curves.png and predictions.png.

    Raises:
        MstlError: Settings, data, weights or folder are not right.
    """
    config = config or TrainConfig(**options)
    folder = make_folder(config.out or default_folder(config))
    logger.info("device: %s", use_device(config.device))
    set_seed(config.seed)

    train_set, val_set = load_data(config.data)
    net = build_model(config.model, len(train_set.classes), config.weights)
    preprocessing = net.preprocessing.at(config.image_size)
    train_loader = Loader(train_set, train_transforms(preprocessing), config.batch_size, config.seed, config.workers)
    val_loader = Loader(val_set, eval_transforms(preprocessing), config.batch_size, workers=config.workers)

    policy = POLICIES[config.freeze](net)
    optimizer = compat.momentum(net.trainable_params(), config.lr, config.momentum, config.weight_decay)
    train_step = make_train_step(policy.forward, compat.cross_entropy(), optimizer)

    state = TrainState(config, net, train_set.classes, preprocessing, folder)
    callbacks = [Checkpoints(), HistoryFile(), PrintEpoch(), *callbacks]
    write_json(folder / "config.json", config.to_dict())
    describe(state, train_set, val_set)

    with ends_cleanly(state):
        for epoch in range(1, config.epochs + 1):
            started = time.perf_counter()
            policy.set_train()
            losses, sizes = [], []
            for images, labels in progress(train_loader.batches(epoch), len(train_loader), f"epoch {epoch}"):
                losses.append(train_step(policy.inputs(images), labels))
                sizes.append(len(labels))
            train_loss = float(np.average([float(loss.asnumpy()) for loss in losses], weights=sizes))
            state.evaluation = evaluate(net, val_loader)
            state.history.append(
                {
                    "epoch": epoch,
                    "lr": config.lr,
                    "train_loss": train_loss,
                    "val_loss": state.evaluation.loss,
                    "val_accuracy": state.evaluation.accuracy,
                    "seconds": time.perf_counter() - started,
                }
            )
            for callback in callbacks:
                callback.on_epoch_end(state)

    if state.history:
        plots.save(plots.curves(state.history), folder / "curves.png")
        plots.save(plots.prediction_grid(state.evaluation), folder / "predictions.png")
    return state


@contextlib.contextmanager
def ends_cleanly(state):
    """On Ctrl-C, keep the net as it is in last.ckpt and end the loop instead of the process."""
    try:
        yield
    except KeyboardInterrupt:
        state.interrupted = True
        save_state(state, "last.ckpt")
        logger.warning("interrupted after %d of %d epochs: last.ckpt saved", len(state.history), state.config.epochs)


def default_folder(config):
    """``checkpoints/<data>-<model>``, where data is a folder's own name."""
    return Path("checkpoints") / f"{Path(config.data).resolve().name}-{config.model}"


def describe(state, train_set, val_set):
    """Say what is about to happen, on stderr."""
    parameters = list(state.net.get_parameters())
    trained = sum(parameter.size for parameter in state.net.trainable_params())
    logger.info(
        "data: %s, %d training and %d validation photos of %d classes (%s)",
        state.config.data,
        len(train_set),
        len(val_set),
        len(train_set.classes),
        ", ".join(train_set.classes[:8]) + (", ..." if len(train_set.classes) > 8 else ""),
    )
    logger.info(
        "model: %s, weights %s, %s of %s parameters are trained; into %s",
        state.config.model,
        state.config.weights,
        f"{trained:,}",
        f"{sum(parameter.size for parameter in parameters):,}",
        state.folder,
    )


def progress(batches, total, label):
    """A progress bar on stderr, where that is a terminal."""
    from tqdm import tqdm

    return tqdm(batches, total=total, desc=label, unit="batch", leave=False, disable=not sys.stderr.isatty())
