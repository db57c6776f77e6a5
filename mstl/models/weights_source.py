"""WeightsSource: the file that a model's pretrained weights came from, known by its content."""

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mstl.errors import MstlError
from mstl.files import digest
from mstl.models.factory import find_weights_entry
from mstl.models.pretrained import TABLE
from mstl.models.weights_files import local_path

NONE = "none"


@dataclass(frozen=True)
class WeightsSource:
    """Where weights came from.

    Attributes:
        tag: The full name in the table of weights, such as ``"resnet50.mindcv"``; ``"none"`` for random weights, "" for
            a file of the user's.
        file: The absolute path; "" for random weights.
        sha256: Of the file; "" for random weights.
    """

    tag: str = NONE
    file: str = ""
    sha256: str = ""

    @classmethod
    def find(cls, architecture: str, weights: str | os.PathLike[str] | None) -> "WeightsSource":
        """Find weights for an architecture; the file is downloaded if necessary.

        Args:
            architecture: The architecture.
            weights: What :func:`mstl.build_model` takes.

        Raises:
            MstlError: There are no such weights, or their file cannot be downloaded or read.
        """
        if weights is None or str(weights) == NONE:
            return cls()
        path, entry = find_weights_entry(architecture, Path(weights) if isinstance(weights, os.PathLike) else weights)
        try:
            return cls("" if entry is None else entry.name, os.path.abspath(path), digest(path))
        except OSError as error:
            raise MstlError(f"cannot read the weights {path}: {error.strerror or error}") from error

    @property
    def path(self) -> Path | None:
        """The file to load; None for random weights."""
        return Path(self.file) if self.file else None

    def find_again(self) -> Path | None:
        """A file on this machine with the same content: where it was, or where the table's file is; None if none."""
        entry = next((entry for entry in TABLE if entry.name == self.tag), None)
        for path in (self.path, None if entry is None else local_path(entry)):
            try:
                if path is not None and path.is_file() and digest(path) == self.sha256:
                    return path
            except OSError:
                continue
        return None

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "WeightsSource":
        """The inverse of :meth:`to_dict`; unknown keys do no harm."""
        known = {field.name for field in dataclasses.fields(cls)}
        return cls(**{key: value for key, value in values.items() if key in known})

    def __str__(self) -> str:
        if not self.file:
            return "none (random)"
        name = os.path.basename(self.file)
        return f"{self.tag} ({name}, SHA-256 {self.sha256})" if self.tag else f"{name} (SHA-256 {self.sha256})"
