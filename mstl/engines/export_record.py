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
class Int8Record:
    """How a model came to compute in 8-bit integers, and what that costs; the loss is of accuracy, as a share.

    Attributes:
        calibration_images: Training images that the ends of its activations were measured on.
        validation_images: Images on which it was compared with the fp32 model.
        fp32_correct, int8_correct: How many of them each gets right.
        lost, gained: How many only the fp32 model gets right, and only the int8 model.
        most_loss: The largest loss that these images do not exclude
            (:attr:`mstl.evaluation.paired_loss.PairedLoss.most`).
        allowed_loss: The largest that is allowed.
        forced: Whether the model was kept although a larger loss is possible.
        largest_change: Of a calibrated probability, from fp32's, on the validation images.
    """

    calibration_images: int
    validation_images: int
    fp32_correct: int
    int8_correct: int
    lost: int
    gained: int
    most_loss: float
    allowed_loss: float
    forced: bool
    largest_change: float


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
        int8: None if all is computed in fp32.
    """

    architecture: str
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    temperature: float = 1.0
    rejection: RejectionLimits | None = None
    weights: dict[str, str] | None = field(default=None, hash=False)
    manifest: str | None = None
    mstl_version: str = ""
    int8: Int8Record | None = None

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
            given = {"int8": "null", **properties}  # before there was int8, nothing was said of it
            values = {key: json.loads(given[key]) for key in cls.__dataclass_fields__}
            preprocessing = Preprocessing.from_record(values)
            limits = values["rejection"] and RejectionLimits(**values["rejection"])
            int8 = values["int8"] and Int8Record(**values["int8"])
            changed = {"preprocessing": preprocessing, "rejection": limits, "int8": int8}
            return cls(**{**values, **changed, "classes": tuple(values["classes"])})
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
