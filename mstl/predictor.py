"""Predictor: a checkpoint ready to predict, with the preprocessing and class names that it remembers."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import mindspore as ms
import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from mstl.data.dataset import ImageSet
from mstl.data.evaluation_data import RunData, load_held_out
from mstl.data.finding.lists.list_options import FOUND, ListOptions
from mstl.data.finding.predict_inputs import Unreadable
from mstl.data.loading.loader import Loader
from mstl.data.loading.streaming import ImageInput, batches, path_of
from mstl.data.loading.transforms import eval_transforms
from mstl.errors import MstlError
from mstl.evaluation.evaluate import evaluate
from mstl.evaluation.metrics import Evaluation
from mstl.evaluation.rejection import read_rejector
from mstl.models import layers
from mstl.models.contract import Classifier
from mstl.models.factory import build_model
from mstl.models.fusing import FusedModel
from mstl.models.loading import Weights, load_weights, read_weights
from mstl.preprocessing import Preprocessing
from mstl.runtime import mindspore_thread
from mstl.runtime.devices import use_device

BATCH_SIZE = 32
SPLITS = ("train", "val", "test")
FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class Prediction:
    """What the model predicts for one image.

    Attributes:
        path: File or URL of the image; None for arrays, bytes and Pillow images.
        label: Name of the most probable class.
        probability: Its probability, calibrated if the checkpoint has a temperature.
        top: (label, probability) of the most probable classes, most probable first.
        rejected: Whether the image belongs to none of the classes (:class:`mstl.evaluation.rejection.Rejector`); None
            if the checkpoint has no rejector.
    """

    path: str | None
    label: str
    probability: float
    top: tuple[tuple[str, float], ...]
    rejected: bool | None


class Predictor:
    """Predicts images with a trained model.

    Any number of threads may ask one Predictor, or several: the MindSpore thread (:mod:`mstl.runtime.mindspore_thread`)
    computes their batches one after the other. While :func:`mstl.fit` trains in this process, they wait for its end.

    Args:
        checkpoint: A file written by :func:`mstl.fit`, such as best.ckpt.
        device: ``"auto"``, ``"Ascend"``, ``"GPU"`` or ``"CPU"``.

    Attributes:
        path: The checkpoint.
        model: The model, in evaluation mode.
        classes: Names, in the order of the model's outputs.
        preprocessing: How an image becomes the model's input.
        rejector: Fitted after training; None if the checkpoint has none.
        metadata: The checkpoint's record.

    Raises:
        MstlError: The file does not exist, or mstl did not write it; or this process was forked from one that had
            used MindSpore, in which case nothing else works, either.
    """

    def __init__(self, checkpoint: str | os.PathLike[str], device: str = "auto") -> None:
        mindspore_thread.run(self._load, checkpoint, device)

    def _load(self, checkpoint: str | os.PathLike[str], device: str) -> None:
        """Read the checkpoint and compile its model."""
        use_device(device)
        self.path = Path(checkpoint)
        weights = read_weights(self.path)
        if weights.metadata is None or not {"classes", "model", "config"} <= weights.metadata.keys():
            raise MstlError(
                f"{checkpoint} does not say what its classes are: mstl's training did not write it; give a best.ckpt"
            )
        self.metadata: dict[str, Any] = weights.metadata
        self.classes: tuple[str, ...] = tuple(self.metadata["classes"])
        self.preprocessing = Preprocessing.from_record(self.metadata)
        self.rejector = read_rejector(self.metadata, weights.extras)
        self.model = restore_model(weights, self.metadata["model"], len(self.classes))
        self._classifier = FusedModel(self.model).compile_classifier()

    @cached_property
    def run_data(self) -> RunData:
        """What the checkpoint and the manifest.csv beside it record of the data of the run."""
        return RunData.read(self.path, self.metadata)

    @property
    def temperature(self) -> float:
        """Divides the logits before the softmax; 1 if the checkpoint has none."""
        return 1.0 if self.rejector is None else self.rejector.temperature

    def __call__(
        self, images: ImageInput | list[ImageInput] | tuple[ImageInput, ...], top: int = 5
    ) -> Prediction | list[Prediction]:
        """Predict images.

        Args:
            images: A path, an image file as bytes, a uint8 array ((H, W), (H, W, 1), (H, W, 3) or (H, W, 4): grey, or
                red, green, blue and alpha, which is dropped), a Pillow image, or a list of any of these; also an array
                of several images (N, H, W, 3).
            top: Number of most probable classes to name.

        Returns:
            A prediction, or a list of them for a list.

        Raises:
            MstlError: An image cannot be read.
        """
        if isinstance(images, (list, tuple)) or (isinstance(images, np.ndarray) and images.ndim == 4):
            return self._predict_all(images, top, "image {} of the list")
        return self._predict_all([images], top, "the image")[0]

    def _predict_all(self, images: Iterable[ImageInput], top: int, unnamed: str) -> list[Prediction]:
        """Predictions of images that must all be readable; ``unnamed`` names one without a path by its index."""
        predictions: list[Prediction] = []
        for answer in self.stream(images, top=top):
            if isinstance(answer, Unreadable):
                raise MstlError(f"cannot read {answer.path or unnamed.format(len(predictions))}: {answer.reason}")
            predictions.append(answer)
        return predictions

    def stream(
        self, images: Iterable[ImageInput], batch_size: int | None = None, top: int = 5
    ) -> Iterator[Prediction | Unreadable]:
        """Predict any number of images in constant memory.

        Args:
            images: What :meth:`__call__` takes, or :func:`mstl.data.finding.predict_inputs.find_images` yields.
            batch_size: 32 if None.
            top: Number of most probable classes to name.

        Yields:
            A prediction for each image, in order; an :class:`mstl.data.finding.predict_inputs.Unreadable` for an image
            that cannot be read.

        Raises:
            MstlError: An item is not an image.
        """
        for part, faults, pixels in batches(images, self.preprocessing, batch_size or BATCH_SIZE):
            paths = [path_of(image) for image in part]
            readable = [path for path, fault in zip(paths, faults, strict=True) if fault is None]
            predictions = self._predict_batch(readable, pixels, top)
            for path, fault in zip(paths, faults, strict=True):
                yield next(predictions) if fault is None else Unreadable(path, fault)

    def _predict_batch(self, paths: Sequence[str | None], pixels: FloatArray, top: int) -> Iterator[Prediction]:
        """Predict (n, 3, H, W) pixels of n images."""
        logits, features = self.answers(pixels)
        if not np.isfinite(logits).all():
            raise MstlError(f"the outputs of {self.path} are not finite: its training diverged; train again")
        probabilities = softmax(logits / self.temperature, axis=1)
        order = np.argsort(-logits, axis=1, kind="stable")[:, : max(1, top)]
        rejected: list[bool | None] = [None] * len(paths)
        if self.rejector is not None:
            rejected = self.rejector.rejected(logits, features).tolist()
        for path, row, best, reject in zip(paths, probabilities, order, rejected, strict=True):
            pairs = tuple((self.classes[index], float(row[index])) for index in best)
            label, probability = pairs[0]
            yield Prediction(path, label, probability, pairs, reject)

    def answers(self, images: ms.Tensor | FloatArray) -> tuple[FloatArray, FloatArray]:
        """Run the model, compiled and with BatchNorm fused, on a batch.

        Args:
            images: (n, 3, H, W), normalised.

        Returns:
            (n, classes) logits and (n, num_features) features.
        """
        return mindspore_thread.run(self._classifier, images)

    def image_sets(
        self, data: str | os.PathLike[str] | None = None, lists: ListOptions = FOUND
    ) -> tuple[ImageSet | None, ImageSet]:
        """The images to train on (None if there are none) and those to evaluate on of :meth:`splits`."""
        splits = self.splits(data, lists)
        return splits.get("train"), splits["val"]

    def splits(self, data: str | os.PathLike[str] | None = None, lists: ListOptions = FOUND) -> dict[str, ImageSet]:
        """Load a dataset by :func:`mstl.data.evaluation_data.load_held_out`; the training data if ``data`` is None."""
        return load_held_out(self.run_data, data, lists)

    def evaluate(
        self,
        data: str | os.PathLike[str] | ImageSet | None = None,
        split: Literal["train", "val", "test"] = "val",
        batch_size: int = BATCH_SIZE,
        workers: int | None = None,
    ) -> Evaluation:
        """Evaluate the model on a dataset.

        Args:
            data: What ``--data`` takes, or an ImageSet; the training data if None.
            split: ``"train"``, ``"val"`` or ``"test"``; see :meth:`splits`.
            batch_size: Images per batch.
            workers: Data-loading workers.

        Returns:
            The evaluation, calibrated if the checkpoint has a temperature.

        Raises:
            MstlError: There is no such data, it has no such split, or it has classes that the model does not know.
        """
        if split not in SPLITS:
            raise MstlError(f"unknown split {split!r}: choose one of {', '.join(SPLITS)}")
        images = data if isinstance(data, ImageSet) else self.splits(data).get(split)
        if images is None:
            raise MstlError(f"{data or 'the data of the run'} has no {split} split: choose another, or leave it out")
        loader = Loader(images, eval_transforms(self.preprocessing), batch_size, workers=workers)
        return evaluate(self.answers, loader).calibrated(self.temperature)


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
