"""Predictor: a checkpoint ready to predict, with the preprocessing and class names that it remembers."""

import os
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

import mindspore as ms
import numpy as np
from numpy.typing import NDArray

from mstl.config import RECORD, EngineName, PrecisionName
from mstl.data.dataset import ImageSet
from mstl.data.evaluation_data import RunData
from mstl.data.loading.loader import Loader
from mstl.data.loading.streaming import Faults, ImageInput, batches
from mstl.data.loading.transforms import eval_transforms
from mstl.engines.choice import choices
from mstl.engines.parts import ClassifierPart, Engines
from mstl.errors import MstlError
from mstl.evaluation.evaluate import evaluate
from mstl.evaluation.metrics import Evaluation
from mstl.evaluation.rejection import read_rejector
from mstl.evaluation.softmax import softmax
from mstl.models import layers
from mstl.models.contract import Classifier
from mstl.models.factory import build_model
from mstl.models.fusing import FusedModel
from mstl.models.loading import Weights, load_weights, read_weights
from mstl.prediction.image_predictor import BATCH_SIZE, Answers, ImagePredictor, Prediction
from mstl.preprocessing import Preprocessing
from mstl.runtime import mindspore_thread
from mstl.runtime.devices import use_device

__all__ = ["BATCH_SIZE", "Prediction", "Predictor", "restore_model"]
FloatArray = NDArray[np.float32]


class Predictor(ImagePredictor):
    """Predicts images with a trained model.

    Any number of threads may ask one Predictor, or several: the MindSpore thread (:mod:`mstl.runtime.mindspore_thread`)
    computes their batches one after the other. While :func:`mstl.fit` trains in this process, they wait for its end.

    Args:
        checkpoint: A file written by :func:`mstl.fit`, such as best.ckpt.
        device: ``"auto"``, ``"Ascend"``, ``"GPU"`` or ``"CPU"``.
        engine: ``"auto"`` (on a CPU the quickest that is installed), ``"mindspore"``, ``"onnxruntime"`` or
            ``"openvino"``. One whose answers to the first images are not MindSpore's is not used: a message says so, or
            an error if it was asked for by its name.
        precision: ``"auto"`` (that of the training, where it is possible), ``"fp32"`` or ``"bf16"``.

    Attributes:
        path: The checkpoint.
        model: The model, in evaluation mode.
        classes: Names, in the order of the model's outputs.
        preprocessing: How an image becomes the model's input.
        rejector: Fitted after training; None if the checkpoint has none.
        metadata: The checkpoint's record.
        engines: What may compute the model.

    Raises:
        MstlError: The file does not exist, or mstl did not write it; the engine is not installed, or cannot compute so
            here; or this process was forked from one that had used MindSpore, in which case nothing else works, either.
    """

    def __init__(
        self,
        checkpoint: str | os.PathLike[str],
        device: str = "auto",
        engine: EngineName = "auto",
        precision: PrecisionName = "auto",
    ) -> None:
        mindspore_thread.run(self._load, checkpoint, device, engine, precision)

    def _load(
        self, checkpoint: str | os.PathLike[str], device: str, engine: EngineName, precision: PrecisionName
    ) -> None:
        """Read the checkpoint and make its model."""
        device = use_device(device)
        self.path = Path(checkpoint)
        weights = read_weights(self.path)
        if weights.metadata is None or not {"classes", "model", "config"} <= weights.metadata.keys():
            raise MstlError(
                f"{checkpoint} does not say what its classes are: mstl's training did not write it; give a best.ckpt"
            )
        self.metadata = weights.metadata
        self.classes = tuple(self.metadata["classes"])
        self.preprocessing = Preprocessing.from_record(self.metadata)
        self.rejector = read_rejector(self.metadata, weights.extras)
        recorded = (self.metadata.get(RECORD) or {}).get("engine") or {}
        trained_in = recorded.get("precision", "fp32")  # before there were engines, all was MindSpore's
        self.engines = Engines(choices(engine, precision, device, recorded=trained_in))
        self.model = restore_model(weights, self.metadata["model"], len(self.classes))
        self._classifier = ClassifierPart(FusedModel(self.model), self.engines, 0)

    @cached_property
    def run_data(self) -> RunData:
        """What the checkpoint and the manifest.csv beside it record of the data of the run."""
        return RunData.read(self.path, self.metadata)

    @property
    def temperature(self) -> float:
        """Divides the logits before the softmax; 1 if the checkpoint has none."""
        return 1.0 if self.rejector is None else self.rejector.temperature

    @property
    def can_reject(self) -> bool:
        """Whether the checkpoint has a rejector."""
        return self.rejector is not None

    def prepared(
        self, images: Iterable[ImageInput], batch_size: int
    ) -> Iterator[tuple[Sequence[ImageInput], Faults, FloatArray]]:
        """Batches of normalised images, (n, 3, H, W)."""
        return batches(images, self.preprocessing, batch_size)

    def predict_batch(self, inputs: FloatArray) -> Answers:
        """Predict (n, 3, H, W) pixels of n images."""
        logits, features = self.answers(inputs)
        if not np.isfinite(logits).all():
            raise MstlError(f"the outputs of {self.path} are not finite: its training diverged; train again")
        rejected = None if self.rejector is None else self.rejector.rejected(logits, features)
        return Answers(logits, softmax(logits / self.temperature), rejected)

    def answers(self, images: ms.Tensor | FloatArray) -> tuple[FloatArray, FloatArray]:
        """Run the model, with BatchNorm fused, on a batch, by the best engine.

        Args:
            images: (n, 3, H, W), normalised.

        Returns:
            (n, classes) logits and (n, num_features) features.
        """
        return mindspore_thread.run(self._classifier, images)

    def evaluate_images(self, images: ImageSet, batch_size: int = BATCH_SIZE, workers: int | None = None) -> Evaluation:
        """The model's answers to a whole dataset."""
        loader = Loader(images, eval_transforms(self.preprocessing), batch_size, workers=workers)
        return evaluate(self.answers, loader).calibrated(self.temperature)

    def rejections(self, evaluation: Evaluation) -> list[bool | None]:
        """Whether each image is rejected; None without a rejector, and for images whose features were not kept."""
        rejected: list[bool | None] = [None] * evaluation.total
        if self.rejector is not None and evaluation.features is not None:
            rows = np.arange(evaluation.total) if evaluation.featured is None else evaluation.featured
            for row, value in zip(
                rows, self.rejector.rejected(evaluation.logits[rows], evaluation.features), strict=True
            ):
                rejected[row] = bool(value)
        return rejected


def restore_model(weights: Weights, architecture: str, num_classes: int) -> Classifier:
    """The model of a checkpoint, in evaluation mode.

    Raises:
        MstlError: The weights do not fit the architecture or the number of classes.
    """
    with layers.without_values():
        model = build_model(architecture, num_classes, None, weights.padding, weights.pool_padding)
    if load_weights(model, weights):
        raise MstlError(
            f"{weights.path} has a head of {weights.num_classes} classes, but the names of {num_classes}: train again"
        )
    model.preprocessing = weights.preprocessing
    model.set_train(False)
    return model
