"""Resuming a run: last.ckpt, which holds the model and the state of its training, written and read again."""

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, TypedDict

import mindspore as ms
import numpy as np
from numpy.typing import NDArray

from mstl.checkpoint import read_checkpoint, save_checkpoint
from mstl.config import Preprocessing, TrainConfig, read_config
from mstl.data.dataset import ImageSet
from mstl.errors import MstlError
from mstl.evaluation.history import EpochRow
from mstl.models.contract import Classifier
from mstl.models.factory import build_model
from mstl.training.state import TrainState

OPTIMIZER, EMA = "state/optimizer/", "state/average/"  # prefixes of names in last.ckpt; the model's have none
MAY_CHANGE = ("epochs", "patience", "workers", "device")  # settings of a resumed run


class ResumeRecord(TypedDict):
    """The part of last.ckpt's record that only resuming needs."""

    history: list[EpochRow]
    data: str
    average_steps: int


def save_last(state: TrainState) -> None:
    """Write last.ckpt: the model, its record, and the state of the optimizer and of the moving average."""
    arrays = state.parameter_arrays()
    for name, parameter in state.phase.optimizer.state.items():
        arrays[OPTIMIZER + name] = np.atleast_1d(parameter.asnumpy())
    if state.ema is not None:
        arrays |= {EMA + name: array for name, array in state.ema.to_arrays().items()}
    record: ResumeRecord = {
        "history": state.history,
        "data": state.data_digest,
        "average_steps": 0 if state.ema is None else state.ema.steps,
    }
    save_checkpoint(state.folder / "last.ckpt", arrays, {**state.metadata(), "resume": record})


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
            raise MstlError(f"nothing to resume at {folder}: it has no last.ckpt")
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
        return Preprocessing.from_dict(self.metadata["preprocessing"])

    def resumed_config(self, config: TrainConfig) -> TrainConfig:
        """The settings to go on with: the run's own, except those of the user's that may change.

        Args:
            config: The user's settings.

        Raises:
            MstlError: The user sets another value than the run has, for a setting that must not change.
        """
        fields = ((item.name, item.default, getattr(config, item.name)) for item in dataclasses.fields(config))
        given = {name: value for name, default, value in fields if value != default and name != "out"}
        for name, value in given.items():
            if name not in MAY_CHANGE and value != self.config[name]:
                raise MstlError(
                    f"cannot resume {self.folder} with {name} {value!r}: it was started with {self.config[name]!r}; "
                    "leave it out, or start a new run"
                )
        return TrainConfig(**{**self.config, **{name: given[name] for name in MAY_CHANGE if name in given}})

    def build_model(self, num_classes: int) -> Classifier:
        """The run's model, not yet with its weights."""
        padding, pool_padding = self.metadata["padding"], self.metadata["pool_padding"]
        return build_model(self.metadata["model"], num_classes, None, padding, pool_padding)

    def restore(self, state: TrainState) -> None:
        """Restore history, model, optimizer and moving average as they were after the last finished epoch.

        Raises:
            MstlError: The data is not that of the run, or the run is finished.
        """
        if self.record["data"] != state.data_digest:
            raise MstlError(
                f"cannot resume {self.folder}: the images of {state.config.data} are not those that it was started with"
            )
        state.history = self.record["history"]
        if len(state.history) >= state.config.epochs:
            raise MstlError(f"{self.folder} is finished ({state.config.epochs} epochs): raise --epochs to go on")
        for parameter in state.model.get_parameters():
            parameter.set_data(ms.Tensor(self.arrays[parameter.name], parameter.dtype))
        for name, parameter in state.phase.optimizer.state.items():
            array = self.arrays[OPTIMIZER + name].reshape(parameter.shape)
            parameter.set_data(ms.Tensor(array, parameter.dtype))
        if state.ema is not None:
            averages = {name.removeprefix(EMA): array for name, array in self.arrays.items() if name.startswith(EMA)}
            state.ema.restore(averages, self.record["average_steps"])


def data_digest(images: ImageSet) -> str:
    """A digest of a dataset that does not depend on its place: names, sizes and labels of the files."""
    digest = hashlib.sha256(repr(images.classes).encode())
    for path, label in zip(images.paths, images.labels, strict=True):
        digest.update(f"{Path(path).parent.name}/{Path(path).name}\0{Path(path).stat().st_size}\0{label}\n".encode())
    return digest.hexdigest()[:16]
