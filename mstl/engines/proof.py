"""Proof: an exported model is asked about image files, and must answer as expected, or it does not count."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mstl.data.image_files import printable
from mstl.data.loading.pixels import center_pixels
from mstl.data.loading.streaming import batches
from mstl.engines.export_record import RejectionLimits
from mstl.engines.exported_model import ExportedModel, Outputs
from mstl.errors import MstlError
from mstl.runtime.progress import Progress

TOLERANCE = 1e-3  # of probabilities and distances, and of features as a share of the largest
BATCH_SIZE = 32
MOST_DISTANCE, MOST_PROBABILITY = 1e-3, 1e-5  # by which a limit of rejection may be moved into the gap that it is in


@dataclass(frozen=True)
class Reference:
    """What an exported model must make of image files.

    Attributes:
        paths: The N files.
        classes: Names, in the order of the probabilities.
        probabilities: (N, classes), calibrated.
        features: (N, num_features) inputs of the head.
        distances: (N,) to the nearest known images; None if the model knows none.
        rejected: (N,) whether each image belongs to none of the classes; None if that is not known.
        source: Who answers so, for messages.
    """

    paths: Sequence[str]
    classes: tuple[str, ...]
    probabilities: NDArray[np.float32]
    features: NDArray[np.float32]
    distances: NDArray[np.float32] | None
    rejected: NDArray[np.bool_] | None
    source: str = "MindSpore"

    def settled(self, limits: RejectionLimits) -> RejectionLimits:
        """Limits of rejection that rounding does not decide for any of the images.

        A fitted limit is often exactly the value of an image, which another runtime gives a hair more or less. So each
        limit is moved into the middle of the gap between the images on its two sides, as far as that is near.
        """
        if self.distances is None:
            return limits
        sureness = self.probabilities.max(axis=1)
        return replace(
            limits,
            distance_limit=between(self.distances, limits.distance_limit, MOST_DISTANCE),
            probability_limit=-between(-sureness, -limits.probability_limit, MOST_PROBABILITY),
        )


def between(values: NDArray[np.float32], limit: float, most: float) -> float:
    """A number between the largest value that is at most ``limit`` and the smallest above it.

    Args:
        values: (N,).
        limit: Divides them, as the float32 that they are compared with.
        most: How far from the limit the result may be.
    """
    limit = float(np.float32(limit))
    below = values[values <= limit].max(initial=-np.inf)
    above = values[values > limit].min(initial=np.inf)
    if np.isinf(below) or np.isinf(above):  # away from the values, if there are any
        return limit + most if np.isinf(above) else limit - most
    return float(np.clip((float(below) + float(above)) / 2, limit - most, limit + most))


def prove(model: ExportedModel, reference: Reference) -> float:
    """Ask an exported model about files, and compare its answers with those that it must give.

    Args:
        model: The model, read back from its file.
        reference: The files, and the answers.

    Returns:
        The largest difference of a probability.

    Raises:
        MstlError: An answer differs; the message names the image and both answers.
    """
    record = model.record
    if sorted(record.classes) != sorted(reference.classes):
        expected = f"those of {reference.source} are {reference.classes}"
        raise MstlError(f"the classes of the exported model are {record.classes}, {expected}")
    order = [record.classes.index(name) for name in reference.classes]
    start, largest = 0, 0.0
    with Progress("proving", len(reference.paths)) as progress:
        for part, faults, pixels in batches(reference.paths, record.preprocessing, BATCH_SIZE, center_pixels):
            for path, fault in zip(reference.paths[start : start + len(part)], faults, strict=True):
                if fault is not None:
                    raise MstlError(f"cannot read {printable(path)}: {fault}; did files change meanwhile?")
            outputs = model.answer(pixels)
            outputs = outputs._replace(probabilities=outputs.probabilities[:, order])
            rejected = outputs.rejected(record.rejection)
            for row in range(len(part)):
                compare(reference, start + row, outputs, row, rejected)
            differences = np.abs(outputs.probabilities - reference.probabilities[start:][: len(part)])
            largest = max(largest, float(differences.max()))
            start += len(part)
            progress.advance(len(part))
    return largest


def compare(reference: Reference, index: int, outputs: Outputs, row: int, rejected: NDArray[np.bool_] | None) -> None:
    """Compare two answers to one image.

    Raises:
        MstlError: They differ.
    """
    theirs, ours = reference.probabilities[index], outputs.probabilities[row]
    near = [np.abs(ours - theirs).max() <= TOLERANCE, theirs.argmax() == ours.argmax()]
    scale = np.abs(reference.features[index]).max()
    near.append(np.abs(outputs.features[row] - reference.features[index]).max() <= TOLERANCE * scale)
    answers = [f"{reference.classes[each.argmax()]} ({each.max():.4f}" for each in (theirs, ours)]
    if reference.distances is not None and reference.rejected is not None:
        if outputs.distance is None or rejected is None:
            raise MstlError(f"the exported model cannot reject images, and that of {reference.source} can")
        near.append(np.abs(outputs.distance[row] - reference.distances[index]) <= TOLERANCE)
        near.append(reference.rejected[index] == rejected[row])
        for place, (refused, far) in enumerate(
            [(reference.rejected[index], reference.distances[index]), (rejected[row], outputs.distance[row])]
        ):
            answers[place] += f", {'rejected' if refused else 'not rejected'} at distance {far:.4f}"
    if not all(near):
        path = printable(reference.paths[index])
        raise MstlError(f"{path} is {answers[0]}) to {reference.source} and {answers[1]}) to the exported model")
