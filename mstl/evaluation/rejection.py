"""Rejection of out-of-distribution images: shown a teapot, a classifier of dogs and wolves should answer "neither"."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mstl.errors import MstlError
from mstl.evaluation.calibration import fit_temperature
from mstl.evaluation.feature_sample import featured_part
from mstl.evaluation.metrics import Evaluation
from mstl.evaluation.softmax import softmax

BANK = "trust/bank"  # name of a Rejector's bank in a checkpoint
LARGEST_BANK = 1000  # samples: 2.5 MB of 1,280 features
ROWS_AT_A_TIME = 1000  # samples whose distances to the whole bank are in memory
NEIGHBOURS = 3
KEPT = 0.95  # share of the samples used for fitting that are not rejected
UNSURE = 0.02  # share of new in-distribution images that the probability limit may reject
FARTHEST = 2.0  # largest distance between two features of length 1


class RejectorRecord(TypedDict):
    """What a checkpoint's record says of a :class:`Rejector`: everything but the bank."""

    temperature: float
    neighbours: int
    distance_limit: float
    probability_limit: float


@dataclass(frozen=True)
class Rejector:
    """Decides which images belong to none of the classes; fitted once after training and kept in the checkpoint.

    Attributes:
        temperature: Divides the logits (:func:`mstl.evaluation.calibration.fit_temperature`).
        bank: (M, F) features of in-distribution samples, each of length 1.
        neighbours: Number of nearest neighbours in the bank.
        distance_limit: Images whose mean distance to their neighbours is larger are rejected; 2 rejects none.
        probability_limit: Images whose largest probability is smaller are rejected; 0 rejects none.
    """

    temperature: float
    bank: NDArray[np.float16]
    neighbours: int
    distance_limit: float
    probability_limit: float

    def distances(self, features: ArrayLike) -> NDArray[np.float32]:
        """Mean Euclidean distance to the nearest neighbours in the bank.

        Args:
            features: (N, F) inputs of the model's head, of any length.

        Returns:
            (N,) from 0 to 2. A sample of the bank is its own nearest neighbour, so it looks closer than a new one.
        """
        return nearest(euclidean(normalised(features), self._points), self.neighbours)

    @cached_property
    def _points(self) -> NDArray[np.float32]:
        """The bank as it is computed with: to convert it for each image would take as long as to compare with it."""
        return self.bank.astype(np.float32)

    def rejected(self, logits: ArrayLike, features: ArrayLike) -> NDArray[np.bool_]:
        """Which images are out of distribution: too far from the bank, or too unsure.

        Args:
            logits: (N, classes) outputs of the model.
            features: (N, F) inputs of its head.

        Returns:
            (N,). Values that are not finite are rejected.
        """
        near = self.distances(features) <= self.distance_limit
        sure = softmax(np.asarray(logits) / self.temperature).max(axis=1) >= self.probability_limit
        rejected: NDArray[np.bool_] = ~(near & sure)
        return rejected

    def to_record(self) -> RejectorRecord:
        """Everything but the bank, as plain values."""
        return {
            "temperature": self.temperature,
            "neighbours": self.neighbours,
            "distance_limit": self.distance_limit,
            "probability_limit": self.probability_limit,
        }

    def arrays(self) -> dict[str, NDArray[np.float16]]:
        """The bank, by its name in a checkpoint."""
        return {BANK: self.bank}

    @classmethod
    def from_record(cls, record: RejectorRecord, arrays: Mapping[str, NDArray[Any]]) -> "Rejector":
        """The inverse of :meth:`to_record` and :meth:`arrays`; ``arrays`` may hold others, too."""
        return cls(bank=np.asarray(arrays[BANK], np.float16), **record)


def read_rejector(metadata: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Rejector | None:
    """The rejector of a checkpoint, from its record and arrays; None if it has none."""
    record = metadata.get("trust")
    return Rejector.from_record(record, arrays) if record and BANK in arrays else None


def fit_rejector(evaluation: Evaluation, largest_bank: int = LARGEST_BANK) -> Rejector:
    """Fit a rejector on samples that the model was not trained on.

    The distance is that of Sun et al. 2022, "Out-of-Distribution Detection with Deep Nearest Neighbors", but the mean
    over the three nearest neighbours instead of the k-th: it depends less on the size of the classes. Samples of the
    bank are measured without themselves. (On features of an EfficientNet-Lite0, centring separated ants and bees from
    objects less well, and a Mahalanobis distance with shrinkage was no better.)

    Together, both tests keep 95 % of the samples. The probability limit may reject 2 % of new in-distribution images:
    it is the conformal one, the floor(0.02 (N + 1))-th lowest probability (Vovk et al. 2005), and 0 for fewer than 49
    samples. The distance limit gets the rest, since it separates better, above all with few classes.

    Args:
        evaluation: With features; samples without them are left out. A class may have few samples, or none.
        largest_bank: How many samples it may keep.

    Raises:
        ValueError: The evaluation has no features.
        MstlError: Logits or features are not finite.
    """
    kept = evaluation.features
    if kept is None:
        raise ValueError("this evaluation has no features: evaluate with them")
    evaluation = featured_part(evaluation)
    if not (np.isfinite(evaluation.logits).all() and np.isfinite(kept).all()):
        raise MstlError("some outputs are not finite: training diverged; train again with a smaller learning rate")
    temperature = fit_temperature(evaluation.logits, evaluation.labels)
    chosen = balanced_subset(evaluation.labels, largest_bank)
    features = normalised(kept)
    bank = features[chosen].astype(np.float16)
    neighbours = max(1, min(NEIGHBOURS, len(bank) - 1))
    place = np.full(len(features), -1)
    place[chosen] = np.arange(len(chosen))
    points, parts = bank.astype(np.float32), []
    for start in range(0, len(features), ROWS_AT_A_TIME):
        rows = slice(start, start + ROWS_AT_A_TIME)
        to_bank = euclidean(features[rows], points)
        own = np.flatnonzero(place[rows] >= 0)
        to_bank[own, place[rows][own]] = FARTHEST  # no sample is its own neighbour
        parts.append(nearest(to_bank, neighbours))
    distances = np.concatenate(parts)

    confidences = evaluation.calibrated(temperature).confidences
    rank = int(UNSURE * (evaluation.total + 1))
    probability_limit = float(np.sort(confidences)[rank - 1]) if rank else 0.0
    sure = confidences >= probability_limit
    distance_limit = float(np.quantile(distances[sure], KEPT / sure.mean()))
    return Rejector(temperature, bank, neighbours, distance_limit, probability_limit)


def balanced_subset(labels: NDArray[np.integer[Any]], largest: int) -> NDArray[np.intp]:
    """Sorted indices of at most ``largest`` random samples, as evenly from all classes as their sizes allow."""
    order = np.random.default_rng(0).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]  # class by class, shuffled within
    _, starts, counts = np.unique(labels[order], return_index=True, return_counts=True)
    place_in_class = np.arange(len(labels)) - np.repeat(starts, counts)
    return np.sort(order[np.argsort(place_in_class, kind="stable")][:largest])


def normalised(features: ArrayLike) -> NDArray[np.float32]:
    """Rows scaled to length 1; a row of zeros stays zero."""
    features = np.asarray(features, np.float32)
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    scaled: NDArray[np.float32] = features / np.where(lengths > 0, lengths, 1)
    return scaled


def euclidean(features: NDArray[np.float32], points: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, M) Euclidean distances between rows of length 1, from their dot products."""
    distances: NDArray[np.float32] = np.sqrt(np.clip(2 - 2 * (features @ points.T), 0, FARTHEST**2))
    return distances


def nearest(distances: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """(N,) mean of the ``count`` smallest values in each row."""
    means: NDArray[np.float32] = np.partition(distances, count - 1, axis=1)[:, :count].mean(axis=1)
    return means
