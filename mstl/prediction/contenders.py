"""Contenders: a checkpoint's model by each engine that is installed, and exported to each format."""

import functools
from collections.abc import Callable, Iterator
from dataclasses import replace
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
from mstl.prediction.exporting import SUFFIXES, Format, model_parts, record_of, written
from mstl.prediction.int8_model import int8_model
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
        train: To calibrate on; None if there are none.
        folder: For exported files.

    Attributes:
        device: On which MindSpore computes.
    """

    def __init__(self, predictor: Predictor, images: ImageSet, train: ImageSet | None, folder: Path) -> None:
        self.predictor, self.images, self.train, self.folder = predictor, images, train, folder
        self.device: str = ms.get_context("device_target")
        self.parts = mindspore_thread.run(model_parts, predictor)
        self.reference: Reference | None = None

    def entries(self) -> Iterator[Entry]:
        """MindSpore, other engines, exported formats: those that are installed."""
        for choice in reversed(choices(device=self.device)):
            yield Entry(CHECKPOINT, choice, functools.partial(self.by_engine, choice))
        for kind, engine in BY:
            if not missing_package(engine):
                choice = Choice(engine, "fp32", version(engine))
                yield Entry(kind, choice, functools.partial(self.exported, kind))
                if kind == "onnx":
                    yield Entry(kind, replace(choice, precision="int8"), functools.partial(self.exported, kind, True))

    def by_engine(self, choice: Choice) -> Figures:
        """The checkpoint's model by an engine.

        Raises:
            MstlError: It does not answer as MindSpore does.
        """
        predictor = self.predictor
        part, rejector = ClassifierPart(self.parts.fused, Engines([choice]), 0), predictor.rejector

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

    def exported(self, kind: Format, int8: bool = False) -> Figures:
        """The model exported to a format, and read back.

        Args:
            kind: The format.
            int8: Quantised, however much accuracy that costs: it is for the figures to say.

        Raises:
            MstlError: It cannot be exported, or does not answer as MindSpore does, or the quantised model before.
        """
        expected, record, onnx = self.judge, record_of(self.predictor, self.judge), None
        if int8:
            quantised = int8_model(self.parts, record, expected, self.train, self.images, force=True)
            expected, record, onnx = quantised.reference, quantised.record, quantised.onnx
        path = self.folder / f"model{'-int8' * int8}{SUFFIXES[kind]}"
        with written(path, kind, self.predictor, record, onnx) as (files, model):
            pass
        figures, verdicts = measure(exported_contender(model, files), self.images, self.judge.probabilities)
        try:
            for index in range(len(self.images)):
                compare(expected, index, verdicts.outputs, index, verdicts.rejected)
        except MstlError as error:
            raise MstlError(f"its proof failed: {error}") from error
        return figures

    @property
    def judge(self) -> Reference:
        """MindSpore's answers."""
        if self.reference is None:
            raise AssertionError("the first entry is to be measured first")
        return self.reference
