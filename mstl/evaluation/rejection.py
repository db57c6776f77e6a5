"""When not to trust a classifier: shown a teapot, one of dogs and wolves should say "neither". NumPy only."""

from dataclasses import dataclass

import numpy as np

from mstl.errors import MstlError
from mstl.evaluation.calibration import fit_temperature, softmax

BANK = "trust/bank"  # the name of a Trust's bank in a checkpoint
LARGEST_BANK = 1000  # known photos: 2.5 MB of 1,280 features
NEIGHBOURS = 3
KEPT = 0.95  # of the photos that the limits are fitted on
UNSURE = 0.02  # of new photos of known things, those that the probability may turn away
FARTHEST = 2.0  # that two features of length 1 can be apart


@dataclass(frozen=True)
class Rejector:
    """What a classifier knows about when not to be trusted; it is fitted once and kept in the checkpoint.

    Attributes:
        temperature: What the logits are divided by (:func:`mstl.evaluation.calibration.fit_temperature`).
        bank: (M, F) float16, the features of known photos, each of length 1.
        neighbours: How many of them are looked at.
        distance_limit: A photo whose features are farther than this from its neighbours, on average, is rejected; 2
            rejects none.
        probability_limit: A photo whose most probable class is less probable than this is rejected; 0 rejects none.
    """

    temperature: float
    bank: np.ndarray
    neighbours: int
    distance_limit: float
    probability_limit: float

    def distances(self, features):
        """How far photos are from what is known.

        Args:
            features: (N, F), of any length; what the net's head is given.

        Returns:
            (N,) mean Euclidean distance to the nearest in the bank, from 0 to 2. A photo of the bank is its own
            nearest, so it looks more familiar than a new one.
        """
        return nearest(apart(normalised(features), self.bank), self.neighbours)

    def rejected(self, logits, features):
        """Which photos are "none of these": too far from all that is known, or too unsure.

        Args:
            logits: (N, classes), as the net gives them.
            features: (N, F) of the same photos.

        Returns:
            (N,) bool. Figures that are not finite are rejected.
        """
        known = self.distances(features) <= self.distance_limit
        sure = softmax(np.asarray(logits) / self.temperature).max(axis=1) >= self.probability_limit
        return ~(known & sure)

    def to_record(self):
        """Everything but the bank, as plain values."""
        return {
            "temperature": self.temperature,
            "neighbours": self.neighbours,
            "distance_limit": self.distance_limit,
            "probability_limit": self.probability_limit,
        }

    def arrays(self):
        """The bank, under the name that it has in a checkpoint."""
        return {BANK: self.bank}

    @classmethod
    def from_record(cls, record, arrays):
        """What :meth:`to_record` and :meth:`arrays` were made from; ``arrays`` may hold other things too."""
        return cls(bank=np.asarray(arrays[BANK], np.float16), **record)


def fit_rejector(evaluation):
    """Learn from photos that were not trained on what known photos look like.

    The distance is that of Sun et al. 2022, "Out-of-Distribution Detection with Deep Nearest Neighbors", but to the
    three nearest on average, not to the k-th: it depends less on how many photos a class has. Each photo of the bank is
    measured without itself. (Of an EfficientNet-Lite0, centred features told ants and bees from objects less well, and
    a Mahalanobis distance with shrinkage no better.)

    Of the photos given, 95 % are kept by both tests together. The probability may turn away 2 % of new photos of known
    things: its limit is the conformal one, the floor(0.02 (N + 1))-th lowest probability (Vovk et al. 2005), and there
    is none below 49 photos. The distance gets the rest, which it uses better, most of all where there are few classes.

    Args:
        evaluation: A :class:`mstl.evaluation.metrics.Evaluation` with features. A class may have few photos, or none.

    Returns:
        A :class:`Rejector`.

    Raises:
        ValueError: The evaluation has no features.
        MstlError: Logits or features are not finite.
    """
    if evaluation.features is None:
        raise ValueError("this evaluation has no features: evaluate with them")
    if not (np.isfinite(evaluation.logits).all() and np.isfinite(evaluation.features).all()):
        raise MstlError("some answers are not finite numbers: training diverged; train again with a smaller rate")
    temperature = fit_temperature(evaluation.logits, evaluation.labels)
    chosen = spread(evaluation.labels, LARGEST_BANK)
    features = normalised(evaluation.features)
    bank = features[chosen].astype(np.float16)
    neighbours = max(1, min(NEIGHBOURS, len(bank) - 1))
    apart_from_bank = apart(features, bank)
    apart_from_bank[chosen, np.arange(len(chosen))] = FARTHEST  # no photo is a neighbour of its own
    distances = nearest(apart_from_bank, neighbours)

    confidences = evaluation.calibrated(temperature).confidences
    rank = int(UNSURE * (evaluation.total + 1))
    probability_limit = float(np.sort(confidences)[rank - 1]) if rank else 0.0
    sure = confidences >= probability_limit
    distance_limit = float(np.quantile(distances[sure], KEPT / sure.mean()))
    return Rejector(temperature, bank, neighbours, distance_limit, probability_limit)


def spread(labels, most):
    """Indices of at most ``most`` photos, in order: as many of each class as there are, or as the others get too."""
    order = np.random.default_rng(0).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]  # class by class, shuffled within
    _, starts, counts = np.unique(labels[order], return_index=True, return_counts=True)
    place_in_class = np.arange(len(labels)) - np.repeat(starts, counts)
    return np.sort(order[np.argsort(place_in_class, kind="stable")][:most])


def normalised(features):
    """Rows of length 1, float32; a row of zeros stays one."""
    features = np.asarray(features, np.float32)
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.where(lengths > 0, lengths, 1)


def apart(features, bank):
    """(N, M) Euclidean distances between rows of length 1, by their angles."""
    return np.sqrt(np.clip(2 - 2 * (features @ bank.astype(np.float32).T), 0, FARTHEST**2))


def nearest(distances, count):
    """(N,) mean of the ``count`` smallest in each row."""
    return np.partition(distances, count - 1, axis=1)[:, :count].mean(axis=1)
