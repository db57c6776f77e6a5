"""Resuming a run: last.ckpt, which holds the model and the state of its training, written and read again."""

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, TypedDict

import mindspore as ms
from numpy.typing import NDArray

from mstl.checkpoint import read_checkpoint, save_checkpoint
from mstl.config import RECORD, TrainConfig, read_config
from mstl.data.evaluation_data import RunData, same_data, settings_beside
from mstl.data.finding.lists.list_options import ListOptions
from mstl.data.load_data import DataSplits
from mstl.data.recorded import is_name
from mstl.errors import MstlError
from mstl.evaluation.history import EpochRow
from mstl.models import layers
from mstl.models.contract import Classifier
from mstl.models.factory import build_model
from mstl.preprocessing import Preprocessing
from mstl.training.record import RunRecord
from mstl.training.run_cost import RunCost
from mstl.training.snapshot import Snapshot
from mstl.training.state import TrainState

# Prefixes of names in last.ckpt; the model's have none
OPTIMIZER, EMA, LOSS_SCALE = "state/optimizer/", "state/average/", "state/loss_scale/"
WHERE = ("data", "val", "images")  # settings that say where the images are
MAY_CHANGE = (
    "epochs",
    "patience",
    "time_limit",
    "workers",
    "device",
    "engine",
    "precision",
    *WHERE,
)  # settings of a resumed run


class ResumeRecord(TypedDict):
    """The part of last.ckpt's record that only resuming needs."""

    history: list[EpochRow]
    average_steps: int


def save_last(state: TrainState, snapshot: Snapshot) -> None:
    """Write last.ckpt: model, record, and the state of optimizer, loss scaler and moving average, of a snapshot."""
    arrays = {**state.parameter_arrays(), **snapshot.trained}
    arrays |= {OPTIMIZER + name: array for name, array in snapshot.optimizer.items()}
    arrays |= {LOSS_SCALE + name: array for name, array in snapshot.loss_scale.items()}
    if state.ema is not None:
        arrays |= {EMA + name: array for name, array in {**state.ema.to_arrays(), **snapshot.average}.items()}
    record: ResumeRecord = {"history": list(snapshot.history), "average_steps": snapshot.average_steps}
    save_checkpoint(state.folder / "last.ckpt", arrays, {**snapshot.metadata, "resume": record})


@dataclass(frozen=True)
class SavedRun:
    """A run to go on with, as its folder holds it.

    Attributes:
        folder: The run's folder.
        config: Its settings.
        arrays: The arrays of last.ckpt by name.
        metadata: The record of last.ckpt.
    """

    folder: Path
    config: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]
    metadata: Mapping[str, Any]

    @classmethod
    def read(cls, folder: str | PathLike[str]) -> "SavedRun":
        """Read the settings and last.ckpt of a run.

        Raises:
            MstlError: The folder holds no run, or one that cannot be resumed.
        """
        folder = Path(folder)
        path = folder / "last.ckpt"
        if not path.exists():
            is_early = (folder / "config.json").exists() and not (folder / "best.ckpt").exists()
            why = "its first epoch was not finished; start it again" if is_early else "it has no last.ckpt"
            raise MstlError(f"nothing to resume at {folder}: {why}")
        arrays, metadata = read_checkpoint(path)
        if not metadata or "resume" not in metadata:
            raise MstlError(f"{path} cannot be resumed: it holds no finished epoch of a training run")
        return cls(folder, read_config(folder / "config.json"), arrays, metadata)

    @property
    def record(self) -> ResumeRecord:
        """The part of the record that is only for resuming."""
        record: ResumeRecord = self.metadata["resume"]
        return record

    @property
    def preprocessing(self) -> Preprocessing:
        """How an image becomes the model's input."""
        return Preprocessing.from_record(self.metadata)

    def resumed_config(self, config: TrainConfig) -> TrainConfig:
        """The settings to go on with: the run's own, except those of the user's that may change.

        Args:
            config: The user's settings.

        Raises:
            MstlError: The user sets another value than the run has, for a setting that must not change; or nothing is
                left to do.
        """
        if self.config["optimizer"] == "lbfgs":
            raise MstlError(f"nothing to resume at {self.folder}: its head is solved for, once and for all")
        fields = ((item.name, item.default, getattr(config, item.name)) for item in dataclasses.fields(config))
        given = {name: value for name, default, value in fields if value != default and name != "out"}
        for name in set(WHERE) & given.keys():
            given[name] = self.place(given[name], self.config[name])
        for name, value in given.items():
            if name not in MAY_CHANGE and value != self.config[name]:
                raise MstlError(
                    f"cannot resume {self.folder} with {name} {value!r}: it was started with {self.config[name]!r}; "
                    "leave it out, or start a new run"
                )
        return TrainConfig(**{**self.config, **{name: given[name] for name in MAY_CHANGE if name in given}})

    def place(self, given: str, recorded: str | None) -> str:
        """Where the data is that the user names: as it is recorded if that is the same place, else an absolute path."""
        path = os.path.abspath(os.path.expanduser(given))
        if is_name(given) or not os.path.exists(path):
            return given
        started = os.path.join(self.record_of_run.directory or "", os.path.expanduser(recorded or ""))
        return recorded if recorded is not None and same_data(path, started) else path

    @property
    def record_of_run(self) -> RunRecord:
        """What the run noted of what it used."""
        return RunRecord.from_dict(self.metadata.get(RECORD))

    @property
    def cost(self) -> RunCost | None:
        """What the run has cost so far: config.json has it of sessions that ended, last.ckpt of one that was killed."""
        path, record = self.folder / "last.ckpt", self.record_of_run
        settings = settings_beside(path, {"manifest": record.manifest}) or {}
        costs = (record.cost, RunRecord.from_dict(settings.get(RECORD)).cost)
        return max((cost for cost in costs if cost is not None), key=lambda cost: cost.total, default=None)

    def load_splits(self, config: TrainConfig) -> DataSplits:
        """Find the images of the run, with their labels and splits, where they are now.

        Args:
            config: The settings to go on with.

        Raises:
            MstlError: They are unknown, or the dataset does not hold the same images any more.
        """
        run = RunData.read(self.folder / "last.ckpt", self.metadata)
        if run.manifest is None:
            raise MstlError(
                f"cannot resume {self.folder}: the images that it was started with are unknown ({run.unknown}); "
                "start a new run"
            )
        lists = ListOptions(config.path_column, config.label_column, config.images, group_column=config.group_column)
        recorded = run.find(config.data or run.data, config.val, lists)
        if recorded.differs:
            raise MstlError(
                f"cannot resume {self.folder}: the images of {config.data} are not those that it was started with: "
                f"{recorded.changes()}; undo that, or start a new run"
            )
        sets = recorded.image_sets(run.classes)
        return DataSplits(sets["train"], sets["val"], sets.get("test"), self.record_of_run.validated_on or "val")

    def build_model(self, num_classes: int) -> Classifier:
        """The run's model, not yet with its weights."""
        padding, pool_padding = self.metadata["padding"], self.metadata["pool_padding"]
        return build_model(self.metadata["model"], num_classes, None, padding, pool_padding)

    def restore(self, state: TrainState) -> None:
        """Restore history, model, optimizer and moving average as they were after the last finished epoch.

        Raises:
            MstlError: The run is finished.
        """
        state.history = self.record["history"]
        done = len(state.history)
        if done >= state.config.epochs:
            epochs = f"{done} epoch{'s' if done > 1 else ''}"
            raise MstlError(f"nothing to resume at {self.folder}: it has finished {epochs}; raise --epochs above that")
        restore_parameters(state.model, self.arrays)
        states = {OPTIMIZER + name: parameter for name, parameter in state.phase.optimizer.state.items()}
        states |= {LOSS_SCALE + name: parameter for name, parameter in state.phase.loss_scale.items()}
        for name, parameter in states.items():
            parameter.set_data(ms.Tensor(self.arrays[name].reshape(parameter.shape), parameter.dtype))
        if state.ema is not None:
            averages = {name.removeprefix(EMA): array for name, array in self.arrays.items() if name.startswith(EMA)}
            state.ema.restore(averages, self.record["average_steps"])


def restore_parameters(model: Classifier, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Give a model the values of its parameters, by name."""
    for parameter in model.get_parameters():
        layers.assign(parameter, ms.Tensor(arrays[parameter.name], parameter.dtype))
