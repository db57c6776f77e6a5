"""ExportRecord: what an exported model says of itself, so that it can be used without its run, or without mstl."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mstl.config import RECORD
from mstl.errors import MstlError
from mstl.preprocessing import Preprocessing


@dataclass(frozen=True)
class RejectionLimits:
    """When an image belongs to none of the classes (:class:`mstl.evaluation.rejection.Rejector`).

    Attributes:
        distance_limit: Images whose ``distance`` is larger are rejected.
        probability_limit: Images whose largest probability is smaller are rejected.
        neighbours: The images of the training over which ``distance`` is the mean.
    """

    distance_limit: float
    probability_limit: float
    neighbours: int

    def rejected(self, probabilities: NDArray[np.float32], distance: NDArray[np.float32]) -> NDArray[np.bool_]:
        """(n,) whether each image belongs to none of the classes; values that are not finite are rejected.

        Args:
            probabilities: (n, classes).
            distance: (n,).
        """
        sure = probabilities.max(axis=1) >= self.probability_limit
        return np.asarray(~((distance <= self.distance_limit) & sure))


@dataclass(frozen=True)
class ExportRecord:
    """What an exported model's file holds beside the model.

    Attributes:
        architecture: Such as "resnet50".
        classes: Names, in the order of ``probabilities``.
        preprocessing: How an image file becomes the pixels that the model takes. It normalises them itself.
        temperature: By which the model divides its logits.
        rejection: None if the model has no output ``distance``.
        weights: The file that training started from: tag, file and sha256; None if unknown.
        manifest: SHA-256 of the manifest.csv of the run; None if unknown.
        mstl_version: Of the mstl that exported it.
    """

    architecture: str
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    temperature: float = 1.0
    rejection: RejectionLimits | None = None
    weights: dict[str, str] | None = field(default=None, hash=False)
    manifest: str | None = None
    mstl_version: str = ""

    def to_properties(self) -> dict[str, str]:
        """As a text for each field: JSON, as a model's metadata can hold nothing else."""
        values = {**asdict(self), "preprocessing": self.preprocessing.to_dict()}
        return {key: json.dumps(value) for key, value in values.items()}

    @classmethod
    def from_properties(cls, path: str | os.PathLike[str], properties: Mapping[str, str]) -> "ExportRecord":
        """The inverse of :meth:`to_properties`; unknown keys, as other versions may write them, do no harm.

        Args:
            path: The model, for messages.
            properties: Its metadata.

        Raises:
            MstlError: ``mstl export`` did not write these, or a later version did.
        """
        try:
            values = {key: json.loads(properties[key]) for key in cls.__dataclass_fields__}
            preprocessing = Preprocessing.from_record(values)
            limits = values["rejection"] and RejectionLimits(**values["rejection"])
            changed = {"classes": tuple(values["classes"]), "preprocessing": preprocessing, "rejection": limits}
            return cls(**{**values, **changed})
        except MstlError as error:
            raise MstlError(f"{path}: {error}") from error
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise MstlError(
                f"{path} does not say what its classes are: `mstl export` did not write it; give one that it wrote"
            ) from error


def provenance(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """``weights`` and ``manifest`` of an :class:`ExportRecord`, from the record of a checkpoint.

    Of the weights' file only the name is kept: where it lies on the machine of the training is nobody else's business.
    """
    record = metadata.get(RECORD) or {}
    weights = record.get("weights")
    if weights is not None:
        weights = {**weights, "file": Path(weights.get("file", "")).name}
    return {"weights": weights, "manifest": record.get("manifest")}
