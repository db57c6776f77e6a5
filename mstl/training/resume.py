"""Going on with a run: what its last.ckpt holds, and whether settings and data are still its own."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from mstl.checkpoint import read_checkpoint
from mstl.config import Preprocessing, TrainConfig, read_config
from mstl.errors import MstlError
from mstl.models.factory import build_model

STATE = "state/"  # before the names of what last.ckpt holds beside the net's own parameters


def data_digest(images):
    """What makes two image sets the same data for a resumed run: names, sizes apart from place and time, labels."""
    digest = hashlib.sha256(repr(images.classes).encode())
    for path, label in zip(images.paths, images.labels, strict=True):
        digest.update(f"{Path(path).parent.name}/{Path(path).name}\0{Path(path).stat().st_size}\0{label}\n".encode())
    return digest.hexdigest()[:16]


@dataclass
class OldRun:
    """What a run left to go on from.

    Attributes:
        config: Its settings, a dict.
        parameters: The net's parameters after the last finished epoch, by name.
        values: The optimizer's and the moving average's, by name.
        metadata: The checkpoint's record.
    """

    config: dict
    parameters: dict
    values: dict
    metadata: dict

    @property
    def record(self):
        """The part of the record that is for resuming alone."""
        return self.metadata["resume"]

    @property
    def history(self):
        """A dict for each finished epoch."""
        return self.record["history"]

    @property
    def preprocessing(self):
        """How a photo becomes the net's input."""
        return Preprocessing.from_dict(self.metadata["preprocessing"])

    def build(self, train_set):
        """The net, with random values as yet."""
        padding, pool_padding = self.metadata["padding"], self.metadata["pool_padding"]
        return build_model(self.metadata["model"], len(train_set.classes), None, padding, pool_padding)


def read_run(folder):
    """Read a run's last.ckpt and settings.

    Raises:
        MstlError: The folder holds no run, or one that cannot be resumed.
    """
    folder = Path(folder)
    if not (folder / "last.ckpt").exists():
        raise MstlError(f"nothing to resume at {folder}: it has no last.ckpt")
    values, metadata = read_checkpoint(folder / "last.ckpt")
    if not metadata or "resume" not in metadata:
        raise MstlError(f"{folder / 'last.ckpt'} cannot be resumed: it holds no finished epoch of a training run")
    parameters = {name: value for name, value in values.items() if not name.startswith(STATE)}
    state = {name.removeprefix(STATE): value for name, value in values.items() if name.startswith(STATE)}
    return OldRun(read_config(folder / "config.json"), parameters, state, metadata)


def settings_of_resumed(kept, given, folder):
    """The settings of a resumed run: its own, and of the new ones only those that may change.

    Args:
        kept: The run's settings.
        given: What the user says now.
        folder: The run's folder.

    Raises:
        MstlError: A setting that would make it another run.
    """
    free = ("epochs", "patience", "workers", "device")
    for name, value in given.items():
        if name not in (*free, "out") and value != kept[name]:
            raise MstlError(
                f"cannot resume {folder} with {name} {value!r}: it was started with {kept[name]!r}; leave it out, or "
                "start a new run"
            )
    changed = {name: given[name] for name in free if name in given}
    return TrainConfig(**{**kept, **changed})
