"""Trackers: callbacks that give the curves of a run to TensorBoard, MLflow or SwanLab; without a network by default."""

import importlib
import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from mstl.config import TrackerName, TrainConfig
from mstl.errors import MstlError
from mstl.training.state import TrainState

logger = logging.getLogger("mstl")
METRICS = ("lr", "train_loss", "val_loss", "val_accuracy", "val_macro_f1")
PROJECT = "mstl"


class Tracker(ABC):
    """A callback that gives a run's settings and numbers to a tracker.

    If the tracker fails, when its server is gone or the disk is full, that is said, and the run goes on without it.
    """

    name: str
    failed = False

    @abstractmethod
    def begin(self, state: TrainState) -> None:
        """Begin a run of the tracker, or go on with one."""

    @abstractmethod
    def log(self, metrics: dict[str, float], epoch: int) -> None:
        """Give it the numbers of an epoch."""

    @abstractmethod
    def end(self, is_finished: bool) -> None:
        """Write what is still buffered, and say whether the run came to its end."""

    def on_start(self, state: TrainState) -> None:
        """Begin."""
        self.attempt(lambda: self.begin(state))

    def on_epoch_end(self, state: TrainState) -> None:
        """Give it the newest row."""
        row: dict[str, Any] = {**state.history[-1]}
        metrics = {key: row[key] for key in METRICS if row[key] is not None}
        self.attempt(lambda: self.log(metrics, row["epoch"]))

    def on_end(self, state: TrainState) -> None:
        """End."""
        self.attempt(lambda: self.end(bool(state.stop) or len(state.history) == state.config.epochs))

    def attempt(self, action: Callable[[], None]) -> None:
        """Do something, unless the tracker has failed before."""
        if self.failed:
            return
        try:
            action()
        except Exception as error:  # whatever the libraries and their HTTP clients and databases raise
            self.failed = True
            text = " ".join(str(error).split())[:300] or type(error).__name__
            logger.warning("%s gets nothing of this run any more: %s", self.name, text)


class TensorBoard(Tracker):
    """Writes event files into the folder ``tensorboard`` of the run, by tensorboardX.

    Raises:
        MstlError: tensorboardX is not installed.
    """

    name = "TensorBoard"

    def __init__(self) -> None:
        self.make_writer = library("tensorboard", "tensorboardX").SummaryWriter
        self.writer: Any = None  # made when there is something to write

    def begin(self, state: TrainState) -> None:
        """Remember where to write; the writer would make folder and file at once."""
        self.folder = state.folder / "tensorboard"

    def log(self, metrics: dict[str, float], epoch: int) -> None:
        """Add a point to each curve."""
        if self.writer is None:
            self.writer = self.make_writer(str(self.folder))
        for name, value in metrics.items():
            self.writer.add_scalar(name, value, epoch)

    def end(self, is_finished: bool) -> None:
        """Close the file."""
        if self.writer is not None:
            self.writer.close()


class MLflow(Tracker):
    """Logs to MLflow: where ``MLFLOW_TRACKING_URI`` says, by default where MLflow itself does, in the current folder.

    Raises:
        MstlError: MLflow is not installed.
    """

    name = "MLflow"

    def __init__(self) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when MLflow is loaded
        self.mlflow = library("mlflow", "mlflow")

    def begin(self, state: TrainState) -> None:
        """Make a run called after the run's folder, with the settings as parameters."""
        self.client = self.mlflow.MlflowClient()
        experiment = self.client.get_experiment_by_name(PROJECT)
        identifier = self.client.create_experiment(PROJECT) if experiment is None else experiment.experiment_id
        tags = {"mstl.folder": str(state.folder.absolute())}
        self.run_id = self.client.create_run(identifier, run_name=state.folder.name, tags=tags).info.run_id
        for name, value in settings(state).items():
            self.client.log_param(self.run_id, name, value)

    def log(self, metrics: dict[str, float], epoch: int) -> None:
        """Log the numbers, with the epoch as step."""
        for name, value in metrics.items():
            self.client.log_metric(self.run_id, name, value, step=epoch)

    def end(self, is_finished: bool) -> None:
        """Mark the run as finished or killed."""
        self.client.set_terminated(self.run_id, "FINISHED" if is_finished else "KILLED")


class SwanLab(Tracker):
    """Logs to SwanLab, into the folder ``swanlog``, unless ``SWANLAB_MODE`` says otherwise.

    Raises:
        MstlError: SwanLab is not installed.
    """

    name = "SwanLab"

    def __init__(self) -> None:
        self.swanlab = library("swanlab", "swanlab")

    def begin(self, state: TrainState) -> None:
        """Make an experiment called after the run's folder, with the settings."""
        mode = os.environ.get("SWANLAB_MODE", "offline")
        self.swanlab.init(project=PROJECT, experiment_name=state.folder.name, config=settings(state), mode=mode)

    def log(self, metrics: dict[str, float], epoch: int) -> None:
        """Log the numbers, with the epoch as step."""
        self.swanlab.log(metrics, step=epoch)

    def end(self, is_finished: bool) -> None:
        """Finish the experiment, or mark it as crashed."""
        self.swanlab.finish(**({} if is_finished else {"state": "crashed"}))


KINDS: dict[TrackerName, type[Tracker]] = {"tensorboard": TensorBoard, "mlflow": MLflow, "swanlab": SwanLab}


def trackers_of(config: TrainConfig) -> list[Tracker]:
    """The trackers that the settings ask for.

    Raises:
        MstlError: One is not installed.
    """
    names: list[TrackerName | None] = ["tensorboard" if config.tensorboard else None, config.tracker]
    return [KINDS[name]() for name in dict.fromkeys(names) if name is not None]


def settings(state: TrainState) -> dict[str, Any]:
    """The settings of the run that have a value."""
    return {name: value for name, value in state.config.to_dict().items() if value is not None}


def library(name: TrackerName, package: str) -> Any:
    """The library of a tracker.

    Raises:
        MstlError: It is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise MstlError(f'the tracker {name} needs {package}: `pip install "mstl[{name}]"`') from error
