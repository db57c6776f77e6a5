"""From a checkpoint to predictions, with the preprocessing and class names that the checkpoint remembers."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mstl.config import Preprocessing
from mstl.data.dataset import ImageSet
from mstl.data.evaluation_data import load_held_out
from mstl.data.finding.predict_inputs import Address, Unreadable
from mstl.data.loading.loader import Loader
from mstl.data.loading.streaming import batches
from mstl.data.loading.transforms import eval_transforms
from mstl.errors import MstlError
from mstl.evaluation.calibration import softmax
from mstl.evaluation.evaluate import evaluate
from mstl.evaluation.rejection import BANK, Rejector
from mstl.models import layers
from mstl.models.factory import build_model
from mstl.models.fusing import FusedModel
from mstl.models.loading import load_weights, read_weights
from mstl.runtime.devices import use_device

BATCH = 32  # photos that are read and answered together
SPLITS = ("train", "val")


@dataclass(frozen=True)
class Prediction:
    """What a net says about one photo.

    Attributes:
        path: Its file or address; None for an array, bytes or Pillow's image.
        label: The most probable class.
        probability: Of that class, calibrated where the checkpoint can.
        top: The most probable classes, pairs of label and probability, the first one first.
        rejected: Whether it is none of the classes, by :class:`mstl.evaluation.rejection.Rejector`; None where the checkpoint cannot say.
    """

    path: str | None
    label: str
    probability: float
    top: tuple
    rejected: bool | None


class Predictor:
    """A trained classifier, ready to be asked.

    Args:
        checkpoint: A file that :func:`mstl.fit` wrote, such as best.ckpt.
        device: ``"auto"``, ``"Ascend"``, ``"GPU"`` or ``"CPU"``.

    Attributes:
        net: The net, in evaluation mode.
        classes: Names, in the order of the net's outputs.
        preprocessing: How a photo becomes the net's input.
        transforms: The same, as operations.
        trust: The :class:`mstl.evaluation.rejection.Rejector` that was fitted after training; None where the checkpoint has none.
        metadata: All that the checkpoint says about itself.

    Raises:
        MstlError: No such file, or not one that mstl wrote.
    """

    def __init__(self, checkpoint, device="auto"):
        use_device(device)
        weights = read_weights(checkpoint)
        self.metadata = weights.metadata
        if self.metadata is None or not {"classes", "model", "config"} <= self.metadata.keys():
            raise MstlError(
                f"{checkpoint} does not say what its classes are: mstl's training did not write it; give a best.ckpt"
            )
        self.path = Path(checkpoint)
        self.classes = tuple(self.metadata["classes"])
        self.preprocessing = Preprocessing.from_dict(self.metadata["preprocessing"])
        self.transforms = eval_transforms(self.preprocessing, self.metadata["config"]["augment"])
        self.rejector = rejector_of(weights)
        self.model = model_of(weights, len(self.classes))
        self._run = FusedModel(self.model).compile_classifier()

    @property
    def temperature(self):
        """What logits are divided by before they become probabilities; 1 where the checkpoint has none."""
        return 1.0 if self.rejector is None else self.rejector.temperature

    def __call__(self, images, top=5):
        """Predict photos.

        Args:
            images: A path, an image file as bytes, an array ((H, W), (H, W, 1), (H, W, 3) or (H, W, 4), uint8: grey, or
                red, green, blue and transparency, which is dropped), Pillow's image, or a list of any of these; also an
                array of several photos (N, H, W, 3).
            top: How many of the most probable classes to name.

        Returns:
            A :class:`Prediction`, or a list of them for a list.

        Raises:
            MstlError: A photo cannot be read.
        """
        several = isinstance(images, (list, tuple)) or (isinstance(images, np.ndarray) and images.ndim == 4)
        predictions = []
        for answer in self.stream(images if several else [images], top=top):
            if isinstance(answer, Unreadable):
                name = answer.path or (f"photo {len(predictions)} of the list" if several else "the photo")
                raise MstlError(f"cannot read {name}: {answer.reason}")
            predictions.append(answer)
        return predictions if several else predictions[0]

    def stream(self, photos, batch_size=None, top=5):
        """Predict any number of photos, in constant memory.

        Args:
            photos: An iterable of what :meth:`__call__` takes, or of what :func:`mstl.data.finding.predict_inputs.find_images` gives.
            batch_size: Photos that are read and answered together; 32 if not given.
            top: How many of the most probable classes to name.

        Yields:
            A :class:`Prediction` for each photo, in their order; for one that cannot be read, a
            :class:`mstl.data.finding.predict_inputs.Unreadable`.

        Raises:
            MstlError: Something is given that is no photo.
        """
        for part, faults, images in batches(photos, self.transforms, batch_size or BATCH):
            answers = self.ask(images, top) if len(images) else None
            for photo, fault in zip(part, faults, strict=True):
                yield Prediction(name_of(photo), *next(answers)) if fault is None else Unreadable(name_of(photo), fault)

    def answers(self, images):
        """What the net says, as fast as it can.

        Args:
            images: (n, 3, H, W) float32, normalised.

        Returns:
            (n, classes) logits and (n, num_features) features, arrays.
        """
        return self._run(images)

    def ask(self, images, top):
        """For each of (n, 3, H, W) images: label, probability, the most probable classes, whether it is rejected."""
        logits, features = self.answers(images)
        if not np.isfinite(logits).all():
            raise MstlError(f"{self.path} gives answers that are no numbers: its training diverged; train again")
        probabilities = softmax(logits / self.temperature)
        order = np.argsort(-logits, axis=1, kind="stable")[:, : max(1, top)]
        rejected = [None] * len(images) if self.rejector is None else self.rejector.rejected(logits, features).tolist()
        for row, best, reject in zip(probabilities, order, rejected, strict=True):
            pairs = tuple((self.classes[index], float(row[index])) for index in best)
            yield *pairs[0], pairs, reject

    def photos(self, data=None):
        """The photos of a data set, labelled in the order of this net's outputs.

        Args:
            data: What ``--data`` takes; the data that it was trained on if not given.

        Returns:
            A pair of :class:`mstl.data.dataset.ImageSet`, photos to train on and to evaluate on: divided as they were
            for the training, or as other data is; other data that is not divided is evaluated as a whole, and there is
            None to train on.

        Raises:
            MstlError: The data is not there, or has classes that the net does not know.
        """
        return load_held_out(self.classes, self.metadata["config"], data)

    def evaluate(self, data=None, split="val", batch_size=32, workers=None):
        """Predict the photos of a data set and compare with their labels.

        Args:
            data: What ``--data`` takes, or an :class:`mstl.data.dataset.ImageSet`; the data that it was trained on if
                not given.
            split: ``"val"`` for the second, ``"train"`` for the first of what :meth:`photos` gives.
            batch_size: Photos at a time.
            workers: Threads that read photos.

        Returns:
            An :class:`mstl.evaluation.metrics.Evaluation`, calibrated where the checkpoint can.

        Raises:
            MstlError: The data is not there, has no such part, or has classes that the net does not know.
        """
        if split not in SPLITS:
            raise MstlError(f"unknown split {split!r}: choose one of {', '.join(SPLITS)}")
        images = data if isinstance(data, ImageSet) else self.photos(data)[SPLITS.index(split)]
        if images is None:
            raise MstlError(f"{data} is not divided into training and validation photos: leave the split out")
        loader = Loader(images, self.transforms, batch_size, workers=workers)
        return evaluate(self.answers, loader).calibrated(self.temperature)


def rejector_of(weights):
    """What a checkpoint keeps of when to trust it; None where it keeps nothing."""
    record = weights.metadata.get("trust")
    return Rejector.from_record(record, weights.extras) if record and BANK in weights.extras else None


def model_of(weights, num_classes):
    """The net of a checkpoint that has been read, in evaluation mode.

    Raises:
        MstlError: The weights are not those of the net that its record tells of.
    """
    with layers.without_values():
        model = build_model(weights.metadata["model"], num_classes, None, weights.padding, weights.pool_padding)
    if load_weights(model, weights):
        raise MstlError(
            f"{weights.path} has a head of {weights.num_classes} classes, but the names of {num_classes}: train again"
        )
    model.preprocessing = weights.preprocessing
    model.set_train(False)
    return model


def name_of(photo):
    """A photo's path or address; None where it has none."""
    if isinstance(photo, (str, os.PathLike)):
        return os.fspath(photo)
    if isinstance(photo, Address):
        return photo.url
    return photo.path if isinstance(photo, Unreadable) else None
