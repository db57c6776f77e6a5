"""The card of a model: what it is, how good, and of which data, as far as its file and folder tell."""

import contextlib
import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TypedDict

from mstl.config import RECORD
from mstl.data.evaluation_data import settings_beside
from mstl.data.finding.folders.part_names import PARTS
from mstl.data.manifest import Manifest
from mstl.errors import MstlError
from mstl.evaluation.history import best_row
from mstl.evaluation.metrics import wilson
from mstl.prediction.exported_predictor import ExportedPredictor
from mstl.prediction.image_predictor import ImagePredictor
from mstl.report.quotable import read_test

RUN_FILES = ("best", "last")  # stems that say less than the name of their folder


class AccuracyRecord(TypedDict):
    """An accuracy: its 95 % confidence interval, the number of images, and what these were."""

    value: float
    low: float
    high: float
    images: int
    what: str


class ModelCard(TypedDict):
    """What a model is; None stands for what is not known."""

    name: str
    format: str
    architecture: str | None
    classes: list[str]
    image_size: int
    accuracy: AccuracyRecord | None
    data: str | None
    date: str | None
    mstl: str | None
    engine: str | None
    precision: str | None
    temperature: float
    can_reject: bool
    can_explain: bool


def model_card(predictor: ImagePredictor) -> ModelCard:
    """The card of a model. It names no folder of this machine but that in which the model lies."""
    is_exported = isinstance(predictor, ExportedPredictor)
    run = predictor.run_data
    engine, precision = how_computed(predictor)
    return {
        "name": name_of(predictor.path),
        "format": "onnx" if is_exported else "checkpoint",
        "architecture": predictor.metadata.get("model"),
        "classes": list(predictor.classes),
        "image_size": predictor.preprocessing.image_size,
        "accuracy": accuracy_of(predictor, run.manifest),
        "data": Path(run.data).name or None,
        "date": date_of(predictor),
        "mstl": version_of(predictor),
        "engine": engine,
        "precision": precision,
        "temperature": predictor.temperature,
        "can_reject": predictor.can_reject,
        "can_explain": not is_exported,
    }


def name_of(path: Path) -> str:
    """The name of a model: that of its run, or of its file if it is not called as the files of all runs are."""
    folder = path.resolve().parent.name
    return folder if path.stem in RUN_FILES and folder else path.stem


def date_of(predictor: ImagePredictor) -> str | None:
    """The day on which a model's run was started, as that records it; else that on which its file was written."""
    recorded: str | None = (predictor.metadata.get(RECORD) or {}).get("date")
    if recorded is not None:
        return recorded
    with contextlib.suppress(OSError):
        return datetime.fromtimestamp(predictor.path.stat().st_mtime, timezone.utc).date().isoformat()
    return None


def version_of(predictor: ImagePredictor) -> str | None:
    """The version of mstl that wrote a model's file."""
    if isinstance(predictor, ExportedPredictor):
        return predictor.record.mstl_version or None
    version: str | None = predictor.metadata.get("mstl_version")
    return version


def how_computed(predictor: ImagePredictor) -> tuple[str | None, str | None]:
    """The engine that computes a model, and in which precision."""
    if isinstance(predictor, ExportedPredictor):
        return "onnxruntime", "fp32" if predictor.record.int8 is None else "int8"
    choice = getattr(getattr(predictor, "engines", None), "choice", None)
    return (None, None) if choice is None else (choice.engine, choice.precision)


def accuracy_of(predictor: ImagePredictor, manifest: Manifest | None) -> AccuracyRecord | None:
    """The accuracy on test images, else on validation images; None if that or their number is not known.

    Of a quantised model, that which it was found to have when it was exported.
    """
    int8 = predictor.record.int8 if isinstance(predictor, ExportedPredictor) else None
    if int8 is not None:
        return validated(int8.int8_correct, int8.validation_images)
    row = epoch_of(predictor)
    if row is None:
        return None
    with contextlib.suppress(MstlError):  # a damaged file is as none
        test = read_test(predictor.path.parent, row.get("epoch"))
        if test is not None:
            low, high = test.interval
            return {"value": test.accuracy, "low": low, "high": high, "images": test.total, "what": "test images"}
    images = 0 if manifest is None else sum(row.split == PARTS[1] for row in manifest.used)
    if not images or "val_accuracy" not in row:
        return None
    return validated(round(row["val_accuracy"] * images), images)


def validated(correct: int, images: int) -> AccuracyRecord:
    """The accuracy on validation images of which so many were right."""
    low, high = wilson(correct, images)
    return {"value": correct / images, "low": low, "high": high, "images": images, "what": "validation images"}


def epoch_of(predictor: ImagePredictor) -> dict[str, Any] | None:
    """The row of the run's history that the model is of: a checkpoint has it, for another its run's folder is asked."""
    if "metrics" in predictor.metadata:
        return dict(predictor.metadata["metrics"])
    if not isinstance(predictor, ExportedPredictor) or predictor.record.manifest is None:
        return None
    settings = settings_beside(predictor.path, {"manifest": predictor.record.manifest})
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        history = json.loads((predictor.path.parent / "history.json").read_text(encoding="utf-8"))
        row = best_row(history, (settings or {}).get("best"))
        return None if settings is None or row is None else dict(row)
    return None
