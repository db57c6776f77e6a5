"""Parts of a model that only answer, computed by the best engine whose answers to the first images are MindSpore's."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import mindspore as ms
import numpy as np
from mindspore import nn
from numpy.typing import ArrayLike, NDArray

from mstl.engines.choice import Choice
from mstl.engines.onnx_model import INPUT, classifier_model, features_model
from mstl.errors import MstlError
from mstl.models.compiled import CompiledCell
from mstl.models.fusing import FusedModel
from mstl.runtime.memory import trim_memory

if TYPE_CHECKING:  # an optional dependency
    import onnx

logger = logging.getLogger("mstl")
FloatArray = NDArray[np.float32]
Answers = Callable[[FloatArray], Sequence[FloatArray]]

BATCH_SIZE = 8  # images a call, of other engines than MindSpore; more leave the processor's cache
EXAMPLES = 2  # images by which an engine is compared with MindSpore
TOLERANCE = {"fp32": 1e-4, "bf16": 8e-2}  # of the largest value


class Engines:
    """The engines that may compute the parts of a model.

    Args:
        choices: Best first, as :func:`mstl.engines.choice.choices` gives them.

    Attributes:
        choice: The best one that has not been refused.
    """

    def __init__(self, choices: Sequence[Choice]) -> None:
        self.choice, *self.others = choices

    def refuse(self, reason: str) -> None:
        """Do without the best one, and say so.

        Raises:
            MstlError: There is no other, as the user has named this one.
        """
        if not self.others:
            raise MstlError(f"engine: {self.choice} cannot be used, as {reason}; leave --engine and --precision out")
        refused, (self.choice, *self.others) = self.choice, self.others
        logger.warning("engine: %s is not used, as %s; %s is", refused, reason, self.choice)


class ModelPart(ABC):
    """Some stages of a fused model: arrays in, arrays out.

    Which engine computes them is settled by the first inputs. All calls belong into the MindSpore thread.

    Args:
        fused: The model.
        engines: Who may compute it; what is wrong with one for this part is so for others.
        num_stages: Where the model is divided.

    Attributes:
        follows: Whether the weights may change, by :meth:`mstl.models.fusing.FusedModel.refresh`.
        batch_size: The most efficient number of images per call, once the engine is settled.
    """

    follows: bool

    def __init__(self, fused: FusedModel, engines: Engines, num_stages: int) -> None:
        self.fused, self.engines, self.num_stages = fused, engines, num_stages
        self.batch_size = BATCH_SIZE
        self.answers: Answers | None = None
        self.choice: Choice | None = None  # of the other engines, which have a copy of the weights
        self.version = fused.version

    @abstractmethod
    def cell(self) -> nn.Cell:
        """The part in MindSpore."""

    @abstractmethod
    def compile(self) -> CompiledCell:
        """The same, compiled."""

    @abstractmethod
    def to_onnx(self, input_shape: tuple[int, ...]) -> "onnx.ModelProto":
        """The same as an ONNX model, for inputs of this shape."""

    def run(self, inputs: ms.Tensor | ArrayLike) -> tuple[FloatArray, ...]:
        """The part's outputs, each with n rows, for inputs of shape (n, ...)."""
        rows = np.asarray(inputs.asnumpy() if isinstance(inputs, ms.Tensor) else inputs, np.float32)
        answers = self.settle(rows[:EXAMPLES])
        starts = range(0, max(1, len(rows)), self.batch_size)
        parts = [answers(rows[start : start + self.batch_size]) for start in starts]
        return tuple(
            outputs[0] if len(outputs) == 1 else np.concatenate(outputs) for outputs in zip(*parts, strict=True)
        )

    def settle(self, examples: FloatArray) -> Answers:
        """Find the engine, unless it is found.

        Args:
            examples: Some inputs, by which engines are compared with MindSpore.

        Returns:
            What computes the part, with the model's weights as they are.
        """
        if self.answers is None:
            self.answers = self._first_proven(examples)
        elif self.follows and self.choice is not None and self.version != self.fused.version:
            self.answers = self._open(self.choice, examples.shape[1:])
        self.version = self.fused.version
        return self.answers

    def _first_proven(self, examples: FloatArray) -> Answers:
        """The first of the engines whose answers to the examples are MindSpore's, which may be MindSpore itself.

        Raises:
            MstlError: There is none.
        """
        expected = None
        while (choice := self.engines.choice).engine != "mindspore":
            expected = expected or self._expected(examples)
            if not all(np.isfinite(each).all() for each in expected):
                break  # nothing can be compared; whoever asks sees it by MindSpore's answers
            try:
                answers = self._open(choice, examples.shape[1:])
                reason = difference(answers(examples), expected, TOLERANCE[choice.precision])
            except Exception as error:  # whatever other libraries raise
                reason = "it fails: " + " ".join(str(error).split())[:200]
            if not reason:
                self.choice = choice
                return answers
            self.engines.refuse(reason)
        compiled = self.compile()
        self.batch_size = compiled.batch_size
        return compiled.run

    def _expected(self, examples: FloatArray) -> list[FloatArray]:
        """MindSpore's answers; not compiled, which takes longer than a few images do."""
        outputs = self.cell()(ms.Tensor(examples))
        return [each.asnumpy() for each in (outputs if isinstance(outputs, tuple) else (outputs,))]

    def _open(self, choice: Choice, input_shape: tuple[int, ...]) -> Answers:
        """An engine with a copy of the weights as they are."""
        content = self.to_onnx(input_shape).SerializeToString()
        trim_memory()  # copies of the weights come and go here, as large as the model
        answers = open_engine(choice, content)
        del content
        trim_memory()
        return answers


class FeaturesPart(ModelPart):
    """The first stages of a backbone, whose weights do not change."""

    follows = False

    def __call__(self, images: ms.Tensor | ArrayLike) -> FloatArray:
        """(n, 3, H, W) images -> what :meth:`mstl.models.fusing.FusedModel.compile_features` gives."""
        (activations,) = self.run(images)
        return activations

    def output_shape(self, image_shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of an image's activations."""
        shape: tuple[int, ...] = self.cell()(ms.Tensor(np.zeros((1, *image_shape), np.float32))).shape[1:]
        return shape

    def cell(self) -> nn.Cell:
        """The stages in MindSpore."""
        return self.fused.first_stages(self.num_stages)

    def compile(self) -> CompiledCell:
        """The same, compiled."""
        return self.fused.compile_features(self.num_stages)

    def to_onnx(self, input_shape: tuple[int, ...]) -> "onnx.ModelProto":
        """The same as an ONNX model."""
        return features_model(self.fused, self.num_stages, input_shape)


class ClassifierPart(ModelPart):
    """All behind the first stages, with the weights that the fused model has at present."""

    follows = True

    def __call__(self, inputs: ms.Tensor | ArrayLike) -> tuple[FloatArray, FloatArray]:
        """(n, C, h, w) activations, or images -> (n, classes) logits and (n, num_features) features."""
        logits, features = self.run(inputs)
        return logits, features

    def cell(self) -> nn.Cell:
        """The stages and the head in MindSpore."""
        return self.fused.last_stages(self.num_stages)

    def compile(self) -> CompiledCell:
        """The same, compiled."""
        return self.fused.compile_classifier(self.num_stages)

    def to_onnx(self, input_shape: tuple[int, ...]) -> "onnx.ModelProto":
        """The same as an ONNX model."""
        return classifier_model(self.fused, self.num_stages, input_shape)


def open_engine(choice: Choice, content: bytes) -> Answers:
    """Another engine than MindSpore, with an ONNX model."""
    if choice.engine == "openvino":
        from mstl.engines.openvino_session import OpenVinoSession

        return OpenVinoSession(content, choice.precision)
    from mstl.engines.onnxruntime_session import open_session

    session = open_session(content)
    return lambda inputs: session.run(None, {INPUT: inputs})


def difference(found: Sequence[FloatArray], expected: Sequence[FloatArray], tolerance: float) -> str:
    """What is wrong with an engine's answers, as the part of a sentence; "" if nothing is."""
    for own, mindspores in zip(found, expected, strict=True):
        if own.shape != mindspores.shape:
            return f"its answers have the shape {own.shape}, and MindSpore's {mindspores.shape}"
        largest = np.abs(mindspores).max()
        error = np.abs(own - mindspores).max()
        if not error <= tolerance * largest:  # also if it is not a number
            share = error / max(largest, np.finfo(np.float32).tiny)
            off = f"it is off MindSpore's values by {share:.2g} of the largest, where {tolerance:g} is allowed"
            return f"{off} ({len(own)} image{'s' if len(own) > 1 else ''} compared)"
    return ""
