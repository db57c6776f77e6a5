"""Whether a probability of 80 % is right in 80 of 100 cases, and how to make it so. NumPy only."""

from dataclasses import dataclass

import numpy as np

COLDEST, HOTTEST = 0.05, 20.0  # where a temperature is looked for
HALVINGS = 30  # of the interval on the log scale: the temperature is then right to eight digits
STEPS_BACK = 100  # to 1, on the log scale


def softmax(logits):
    """(N, classes) logits to probabilities; safe for large values."""
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponents / exponents.sum(axis=1, keepdims=True)


@dataclass(frozen=True)
class Reliability:
    """Confidence against accuracy, by bins of confidence (Guo et al. 2017, "On Calibration of Modern Neural Networks").

    Attributes:
        edges: (bins + 1,) from 0 to 1, equally far apart; a bin holds its upper edge, not its lower one.
        counts: (bins,) photos.
        confidence: (bins,) mean probability of the predicted class; NaN for an empty bin.
        accuracy: (bins,) share of right predictions; NaN for an empty bin.
    """

    edges: np.ndarray
    counts: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray

    @property
    def ece(self):
        """Expected calibration error, from 0 to 1: the gap between the two, on average over the photos."""
        filled = self.counts > 0
        gaps = np.abs(self.accuracy - self.confidence)[filled]
        return float(np.average(gaps, weights=self.counts[filled]))


def reliability(confidences, right, bins=15):
    """Sort predictions into bins.

    Args:
        confidences: (N,) probability of each predicted class.
        right: (N,) whether the prediction was right.
        bins: How many, of equal width.

    Returns:
        A :class:`Reliability`.
    """
    edges = np.linspace(0, 1, bins + 1)
    places = np.clip(np.searchsorted(edges, confidences) - 1, 0, bins - 1)
    counts = np.bincount(places, minlength=bins)
    means = [
        np.divide(np.bincount(places, values, bins), counts, out=np.full(bins, np.nan), where=counts > 0)
        for values in (confidences, right)
    ]
    return Reliability(edges, counts, *means)


def fit_temperature(logits, labels):
    """The T for which ``softmax(logits / T)`` is best calibrated (Guo et al. 2017): that of the least cross entropy.

    Two things keep it from promising too much. A few validation photos that are all right would ask for T = 0, and
    every answer would then be certain; see :func:`cautious_temperature`. And the expected calibration error of a few
    photos is noisy: where it would rise, T goes back towards 1, no farther than it must.

    Args:
        logits: (N, classes), 2 classes or more.
        labels: (N,) integers.

    Returns:
        T, from 0.05 to 20. Neither mean cross entropy nor expected calibration error of these photos is larger at T
        than at 1.
    """
    right = logits.argmax(axis=1) == labels
    uncalibrated = reliability(softmax(logits).max(axis=1), right).ece
    for temperature in np.geomspace(cautious_temperature(logits, labels), 1, STEPS_BACK + 1).tolist():
        if reliability(softmax(logits / temperature).max(axis=1), right).ece <= uncalibrated:
            break
    return temperature


def cautious_temperature(logits, labels):
    """The T with the least mean cross entropy, where a T below 1 must be earned.

    It is then looked for with two more photos, each like the average one, of which one is predicted rightly and the
    other is of the next most probable class. That is Laplace's rule of succession; two classes that are separated get
    Platt's target, (N + 1) / (N + 2) (Platt 1999). If T would come out above 1, it stays 1. A T above 1 takes certainty
    away and needs no such caution.

    Args:
        logits: (N, classes).
        labels: (N,) integers.

    Returns:
        T. As the cross entropy is convex in 1 / T, it is not larger there than at 1.
    """
    logits = np.asarray(logits, np.float64)
    own = logits[np.arange(len(labels)), labels].mean()
    temperature = least_cross_entropy(logits, own)
    if temperature >= 1:
        return temperature
    ranked = np.partition(logits, (-2, -1), axis=1)
    first, second = ranked[:, -1].mean(), ranked[:, -2].mean()
    return min(1.0, least_cross_entropy(logits, (len(labels) * own + first + second) / (len(labels) + 2)))


def least_cross_entropy(logits, target):
    """The T with the least mean of ``log(sum(exp(logits / T))) - target / T``, which is convex in 1 / T.

    Args:
        logits: (N, classes).
        target: The mean logit of the classes that should be answered.

    Returns:
        T, by bisection of the slope's sign.
    """
    shifted = logits - logits.max(axis=1, keepdims=True)
    target = target - logits.max(axis=1).mean()
    low, high = np.log([COLDEST, HOTTEST])
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        weights = np.exp(shifted / np.exp(middle))
        expected = ((weights * shifted).sum(axis=1) / weights.sum(axis=1)).mean()
        if expected > target:  # too sure of its answers
            low = middle
        else:
            high = middle
    return float(np.exp((low + high) / 2))
