"""benchmark: what a trained model costs and how well it answers, by each engine and in each format that is there."""

import logging
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from mstl.data.dataset import ImageSet, subset
from mstl.data.finding.lists.list_options import FOUND, ListOptions
from mstl.engines.choice import EXTRAS, Choice, computes_bf16, missing_package, version
from mstl.errors import MstlError
from mstl.prediction.any_predictor import EXPORTED, load_predictor
from mstl.prediction.exported_predictor import ExportedPredictor
from mstl.prediction.measuring import Figures, exported_contender, measure
from mstl.runtime.interrupts import interruptible

if TYPE_CHECKING:  # an exported file needs no MindSpore
    from mstl.predictor import Predictor

logger = logging.getLogger("mstl")
MOST_IMAGES = 100  # that each is asked about, so that a ResNet-50 on two cores takes about a minute


@dataclass(frozen=True)
class Row:
    """A model in a format, by an engine: what was measured, or what is wrong with it.

    Attributes:
        format: "checkpoint", or that of the exported file.
        choice: Engine and precision.
        figures: None if it cannot be used.
        problem: Why; "" if it can.
    """

    format: str
    choice: Choice
    figures: Figures | None
    problem: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As plain values, one for each column; those of a row that cannot be used are None."""
        figures = dict.fromkeys(Figures.__dataclass_fields__) if self.figures is None else asdict(self.figures)
        return {"format": self.format, **asdict(self.choice), **figures, "problem": self.problem or None}


@dataclass(frozen=True)
class Benchmark:
    """What was measured of a model.

    Attributes:
        model: Its file.
        architecture: Such as "resnet50".
        images: The images that each row was asked about,
        validation_images: of so many.
        rows: MindSpore by itself is the first, if it is there.
    """

    model: str
    architecture: str
    images: int
    validation_images: int
    rows: tuple[Row, ...]

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return {**vars(self), "rows": [row.to_dict() for row in self.rows]}


def benchmark(
    path: str | os.PathLike[str],
    data: str | os.PathLike[str] | None = None,
    lists: ListOptions = FOUND,
    device: str = "auto",
) -> Benchmark:
    """Measure a checkpoint's model by each engine and in each format that is installed, or an exported file by itself.

    Args:
        path: A best.ckpt of a run, or an .onnx file of ``mstl export``.
        data: Where the images of the run are now, or others; by default where they were.
        lists: How lists are to be read.
        device: On which MindSpore computes.

    Raises:
        MstlError: The model or the images cannot be used.
    """
    is_exported = Path(path).suffix.lower() == EXPORTED
    predictor = load_predictor(path, device, engine="auto" if is_exported else "mindspore")
    train, validation = predictor.image_sets(data, lists)
    images = validation
    if len(images) > MOST_IMAGES:  # as evenly from all as possible
        images = subset(images, np.linspace(0, len(images) - 1, MOST_IMAGES).astype(np.int64))
    for file in images.paths:  # else who comes first would wait for the disk
        Path(file).read_bytes()
    if isinstance(predictor, ExportedPredictor):
        rows = [row_of_file(predictor, images)]
    else:
        rows = contest(cast("Predictor", predictor), images, train)
    return Benchmark(os.fspath(path), predictor.metadata["model"], len(images), len(validation), tuple(rows))


def row_of_file(predictor: ExportedPredictor, images: ImageSet) -> Row:
    """An exported file by itself; what MindSpore would answer is unknown."""
    figures, _ = measure(exported_contender(predictor.model, (predictor.path,)), images)
    precision = "fp32" if predictor.record.int8 is None else "int8"
    return Row("onnx", Choice("onnxruntime", precision, version("onnxruntime")), figures)


def contest(predictor: "Predictor", images: ImageSet, train: ImageSet | None) -> list[Row]:
    """A checkpoint's model in all its forms; exported files are in a temporary folder, which is removed.

    Raises:
        MstlError: MindSpore cannot answer, with whom all others are compared.
    """
    from mstl.prediction.contenders import Contest

    rows: list[Row] = []
    with interruptible(), tempfile.TemporaryDirectory(prefix="mstl-benchmark-") as folder:
        contest = Contest(predictor, images, train, Path(folder))
        say_what_is_missing(contest.device)
        for entry in contest.entries():
            logger.info("benchmark: %s by %s", entry.format, entry.choice)
            try:
                rows.append(Row(entry.format, entry.choice, entry.measure()))
            except Exception as error:  # whatever other libraries raise
                if not rows:
                    raise
                problem = " ".join(str(error).split())
                failure = problem if isinstance(error, MstlError) else f"it fails: {problem[:200]}"
                rows.append(Row(entry.format, entry.choice, None, failure))
    return rows


def say_what_is_missing(device: str) -> None:
    """Log which engines and formats are left out, and what would bring them."""
    for name, extra in EXTRAS.items():
        package = missing_package(name)
        if package is not None:
            missing = f'{package} is not installed: `pip install "mstl[{extra}]"`'
            logger.info("benchmark: %s is left out, as engine and as format, as %s", name, missing)
    if device != "CPU":
        logger.info("benchmark: other engines than MindSpore are left out, as they are for the CPU")
    elif not missing_package("openvino") and not computes_bf16():
        logger.info("benchmark: openvino in bf16 is left out, as this processor does not compute in it")
