"""Prediction: what a model makes of an image; and what all predictors have in common, whoever computes their model."""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mstl.data.finding.lists.list_options import FOUND, ListOptions
from mstl.data.finding.predict_inputs import Unreadable
from mstl.data.loading.streaming import Faults, ImageInput, path_of
from mstl.errors import MstlError
from mstl.preprocessing import Preprocessing

if TYPE_CHECKING:  # a command that predicts one image loads nothing of datasets, and no MindSpore
    from mstl.data.dataset import ImageSet
    from mstl.data.evaluation_data import RunData
    from mstl.evaluation.metrics import Evaluation

BATCH_SIZE = 32
SPLITS = ("train", "val", "test")


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


class Answers(NamedTuple):
    """What a model makes of n images: (n, classes) ``scores`` to rank the classes by, and more of each image."""

    scores: NDArray[np.float32]
    probabilities: NDArray[np.float32]
    rejected: NDArray[np.bool_] | None


class ImagePredictor(ABC):
    """Predicts images with a trained model.

    Attributes:
        path: Its file.
        classes: Names, in the order of the model's outputs.
        preprocessing: How an image becomes the model's input.
        metadata: What the file records.
    """

    path: Path
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    metadata: dict[str, Any]

    @property
    @abstractmethod
    def run_data(self) -> "RunData":
        """What the file and the manifest.csv beside it record of the data of the run."""

    @property
    @abstractmethod
    def temperature(self) -> float:
        """Divides the logits before the softmax; 1 if the model has none."""

    @property
    @abstractmethod
    def can_reject(self) -> bool:
        """Whether it can tell that an image belongs to none of the classes."""

    @abstractmethod
    def prepared(
        self, images: Iterable[ImageInput], batch_size: int
    ) -> Iterator[tuple[Sequence[ImageInput], Faults, NDArray[Any]]]:
        """What :func:`mstl.data.loading.streaming.batches` yields, with inputs of this model."""

    @abstractmethod
    def predict_batch(self, inputs: NDArray[Any]) -> Answers:
        """The model's answers to a batch of its inputs, one for each image.

        Raises:
            MstlError: They are not finite.
        """

    @abstractmethod
    def evaluate_images(self, images: "ImageSet", batch_size: int, workers: int | None) -> "Evaluation":
        """The model's answers to a whole dataset."""

    @abstractmethod
    def rejections(self, evaluation: "Evaluation") -> list[bool | None]:
        """Whether each of the evaluated images is rejected; None where that is not known."""

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
        for part, faults, inputs in self.prepared(images, batch_size or BATCH_SIZE):
            paths = [path_of(image) for image in part]
            readable = [path for path, fault in zip(paths, faults, strict=True) if fault is None]
            predictions = self.predictions(readable, inputs, top) if readable else iter(())
            for path, fault in zip(paths, faults, strict=True):
                yield next(predictions) if fault is None else Unreadable(path, fault)

    def predictions(self, paths: Sequence[str | None], inputs: NDArray[Any], top: int) -> Iterator[Prediction]:
        """Predict a batch of inputs, which :meth:`prepared` has made of the images with these paths.

        Raises:
            MstlError: The model's answers are not finite.
        """
        scores, probabilities, rejected = self.predict_batch(inputs)
        order = np.argsort(-scores, axis=1, kind="stable")[:, : max(1, top)]
        rejections: list[bool | None] = [None] * len(paths) if rejected is None else rejected.tolist()
        for path, row, best, reject in zip(paths, probabilities, order, rejections, strict=True):
            pairs = tuple((self.classes[index], float(row[index])) for index in best)
            label, probability = pairs[0]
            yield Prediction(path, label, probability, pairs, reject)

    def image_sets(
        self, data: str | os.PathLike[str] | None = None, lists: ListOptions = FOUND
    ) -> tuple["ImageSet | None", "ImageSet"]:
        """The images to train on (None if there are none) and those to evaluate on of :meth:`splits`."""
        splits = self.splits(data, lists)
        return splits.get("train"), splits["val"]

    def splits(self, data: str | os.PathLike[str] | None = None, lists: ListOptions = FOUND) -> dict[str, "ImageSet"]:
        """Load a dataset by :func:`mstl.data.evaluation_data.load_held_out`; the training data if ``data`` is None."""
        from mstl.data.evaluation_data import load_held_out

        return load_held_out(self.run_data, data, lists)

    def evaluate(
        self,
        data: "str | os.PathLike[str] | ImageSet | None" = None,
        split: Literal["train", "val", "test"] = "val",
        batch_size: int = BATCH_SIZE,
        workers: int | None = None,
    ) -> "Evaluation":
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
        from mstl.data.dataset import ImageSet

        if split not in SPLITS:
            raise MstlError(f"unknown split {split!r}: choose one of {', '.join(SPLITS)}")
        images = data if isinstance(data, ImageSet) else self.splits(data).get(split)
        if images is None:
            raise MstlError(f"{data or 'the data of the run'} has no {split} split: choose another, or leave it out")
        return self.evaluate_images(images, batch_size, workers)
