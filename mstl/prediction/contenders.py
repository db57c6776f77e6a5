"""Contenders: a checkpoint's model by each engine that is installed, and exported to each format."""

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import mindspore as ms
from numpy.typing import NDArray

from mstl.config import EngineName
from mstl.data.dataset import ImageSet
from mstl.data.loading.pixels import model_input
from mstl.engines.choice import Choice, choices, missing_package, version
from mstl.engines.exported_model import Outputs
from mstl.engines.parts import ClassifierPart, Engines
from mstl.engines.proof import Reference, compare
from mstl.errors import MstlError
from mstl.evaluation.softmax import softmax
from mstl.models.fusing import FusedModel
from mstl.prediction.exporting import SUFFIXES, Format, record_of, written
from mstl.prediction.measuring import Contender, Figures, Verdicts, exported_contender, measure
from mstl.predictor import Predictor
from mstl.runtime import mindspore_thread

CHECKPOINT = "checkpoint"  # the format of those that are not exported
BY: tuple[tuple[Format, EngineName], ...] = (("onnx", "onnxruntime"), ("mindir", "mindspore"), ("openvino", "openvino"))


class Entry(NamedTuple):
    """A contender to be: the format of its file, who computes it, and how to measure it."""

    format: str
    choice: Choice
    measure: Callable[[], Figures]


class Contest:
    """A checkpoint's model in all its forms, each measured when it is asked for; MindSpore, the first, is the judge.

    Args:
        predictor: The checkpoint, by MindSpore.
        images: What all are asked about.
        folder: For exported files.

    Attributes:
        device: On which MindSpore computes.
    """

    def __init__(self, predictor: Predictor, images: ImageSet, folder: Path) -> None:
        self.predictor, self.images, self.folder = predictor, images, folder
        self.device: str = ms.get_context("device_target")
        self.fused = mindspore_thread.run(FusedModel, predictor.model)
        self.reference: Reference | None = None

    def entries(self) -> Iterator[Entry]:
        """MindSpore, other engines, exported formats: those that are installed."""
        for choice in reversed(choices(device=self.device)):
            yield Entry(CHECKPOINT, choice, functools.partial(self.by_engine, choice))
        for kind, engine in BY:
            if not missing_package(engine):
                choice = Choice(engine, "fp32", version(engine))
                yield Entry(kind, choice, functools.partial(self.exported, kind))

    def by_engine(self, choice: Choice) -> Figures:
        """The checkpoint's model by an engine.

        Raises:
            MstlError: It does not answer as MindSpore does.
        """
        predictor = self.predictor
        part, rejector = ClassifierPart(self.fused, Engines([choice]), 0), predictor.rejector

        def answer(inputs: NDArray[Any]) -> Verdicts:
            logits, features = mindspore_thread.run(part, inputs)
            probabilities = softmax(logits / predictor.temperature)
            if rejector is None:
                return Verdicts(Outputs(probabilities, features, None), None)
            outputs = Outputs(probabilities, features, rejector.distances(features))
            return Verdicts(outputs, rejector.rejected(logits, features))

        contender = Contender(predictor.preprocessing, model_input, answer, (predictor.path,))
        known = None if self.reference is None else self.reference.probabilities
        figures, verdicts = measure(contender, self.images, known)
        if self.reference is None:
            self.reference = Reference(self.images.paths, predictor.classes, *verdicts.outputs, verdicts.rejected)
        return figures

    def exported(self, kind: Format) -> Figures:
        """The model exported to a format, and read back.

        Raises:
            MstlError: It cannot be exported, or does not answer as MindSpore does.
        """
        path = self.folder / f"model{SUFFIXES[kind]}"
        with written(path, kind, self.predictor, record_of(self.predictor, self.judge)) as (files, model):
            pass
        figures, verdicts = measure(exported_contender(model, files), self.images, self.judge.probabilities)
        try:
            for index in range(len(self.images)):
                compare(self.judge, index, verdicts.outputs, index, verdicts.rejected)
        except MstlError as error:
            raise MstlError(f"its proof failed: {error}") from error
        return figures

    @property
    def judge(self) -> Reference:
        """MindSpore's answers."""
        if self.reference is None:
            raise AssertionError("the first entry is to be measured first")
        return self.reference
