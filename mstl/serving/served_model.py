"""ServedModel: a model as a server uses it: images prepared in any thread, answers, explanations, and what it is."""

import contextlib
import io
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mstl.config import EngineName, PrecisionName
from mstl.data.opening import UnreadableImage, open_image
from mstl.prediction.any_predictor import load_predictor
from mstl.prediction.exported_predictor import ExportedPredictor
from mstl.prediction.image_predictor import ImagePredictor, Prediction
from mstl.serving.model_card import ModelCard, model_card

if TYPE_CHECKING:  # MindSpore, which an exported model does without
    from mstl.predictor import Predictor

LARGE = 25_000_000  # pixels


class ServedModel:
    """A model as a server uses it.

    Args:
        predictor: The model.

    Attributes:
        card: What it is.
    """

    def __init__(self, predictor: ImagePredictor) -> None:
        self.predictor = predictor
        self.card: ModelCard = model_card(predictor)
        self.is_warm = False

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        device: str = "auto",
        engine: EngineName = "auto",
        precision: PrecisionName = "auto",
    ) -> "ServedModel":
        """What :func:`mstl.load_predictor` loads, to be served."""
        return cls(load_predictor(path, device, engine, precision))

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.predictor.classes

    @property
    def explaining(self) -> "Predictor | None":
        """The predictor, if it can explain its answers: an exported model has no gradients."""
        if isinstance(self.predictor, ExportedPredictor):
            return None
        from mstl.predictor import Predictor

        return self.predictor if isinstance(self.predictor, Predictor) else None

    def warm_up(self) -> None:
        """Answer for images of noise, once: the first answer takes longer, as engines are opened and compared.

        Raises:
            MstlError: The model's answers are not finite.
        """
        if self.is_warm:
            return
        noise = np.random.default_rng(0).integers(0, 256, (2, 300, 300, 3), np.uint8)
        for _, _, inputs in self.predictor.prepared(list(noise), len(noise)):
            self.predictor.predict_batch(inputs)
        self.card = model_card(self.predictor)  # by now the engine is settled
        self.is_warm = True

    def prepare(self, content: bytes) -> NDArray[Any]:
        """The model's input (1, ...) of an image file's content.

        Raises:
            UnreadableImage: It cannot be used.
        """
        with contextlib.closing(iter(self.predictor.prepared([content], 1))) as batches:  # type: ignore[type-var]
            _, (fault,), inputs = next(batches)
        if fault is not None:
            raise UnreadableImage("unreadable", fault)
        return inputs

    def answer(self, inputs: Sequence[NDArray[Any]], top: int) -> list[Prediction]:
        """Predictions for inputs, each with the most probable classes, of that number."""
        return list(self.predictor.predictions([None] * len(inputs), np.concatenate(inputs), top))

    def explain(self, content: bytes, label: str | None) -> bytes:
        """A PNG that shows where in an image the model sees a class.

        Args:
            content: Of an image file.
            label: One of the classes; None for the most probable one.

        Raises:
            UnreadableImage: It cannot be used.
        """
        from mstl.report.gradcam import gradcam, overlay, to_pixels

        predictor = self.explaining
        assert predictor is not None, "see explaining"
        inputs = self.prepare(content)
        target = None if label is None else self.classes.index(label)
        (heat,) = gradcam(predictor.model, inputs, target)
        (pixels,) = to_pixels(inputs, predictor.preprocessing)
        drawn = io.BytesIO()
        Image.fromarray(overlay(pixels, heat)).save(drawn, "PNG", compress_level=2)
        return drawn.getvalue()


def is_large(content: bytes) -> bool:
    """Whether an image has so many pixels that it takes much memory and time to decode, by its header.

    Raises:
        UnreadableImage: It cannot be used.
    """
    with open_image(content) as image:
        return image.width * image.height > LARGE
