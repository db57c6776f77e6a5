"""Calibration: whether predictions made with 80 % confidence are right 80 % of the time, and how to make it so."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mstl.evaluation.softmax import softmax

COLDEST, HOTTEST = 0.05, 20.0  # range in which a temperature is searched
BACKOFF_STEPS = 100  # from the fitted temperature back to 1, evenly spaced on the log scale


@dataclass(frozen=True)
class Reliability:
    """Confidence against accuracy by confidence bins (Guo et al. 2017, "On Calibration of Modern Neural Networks").

    Attributes:
        edges: (bins + 1,) from 0 to 1, evenly spaced; a bin includes its upper edge but not its lower one.
        counts: (bins,) samples.
        confidence: (bins,) mean probability of the predicted class; NaN for an empty bin.
        accuracy: (bins,) share of correct predictions; NaN for an empty bin.
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]

    @property
    def ece(self) -> float:
        """Expected calibration error, from 0 to 1: the gap between confidence and accuracy, averaged over samples."""
        filled = self.counts > 0
        gaps = np.abs(self.accuracy - self.confidence)[filled]
        return float(np.average(gaps, weights=self.counts[filled]))


def reliability(confidences: NDArray[np.floating[Any]], correct: NDArray[np.bool_], bins: int = 15) -> Reliability:
    """Group predictions into confidence bins.

    Args:
        confidences: (N,) probability of the predicted class.
        correct: (N,) whether the prediction is correct.
        bins: Number of bins, all of the same width.
    """
    edges = np.linspace(0, 1, bins + 1)
    places = np.clip(np.searchsorted(edges, confidences) - 1, 0, bins - 1)
    counts = np.bincount(places, minlength=bins)
    confidence, accuracy = (
        np.divide(np.bincount(places, values, bins), counts, out=np.full(bins, np.nan), where=counts > 0)
        for values in (confidences, correct)
    )
    return Reliability(edges, counts, confidence, accuracy)


def fit_temperature(logits: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]]) -> float:
    """Fit the temperature T at which ``softmax(logits / T)`` is calibrated, by cross-entropy (Guo et al. 2017).

    Two precautions against overconfidence. A few validation samples that are all predicted correctly would push T to 0
    and make every later prediction certain; see :func:`cautious_temperature`. And the expected calibration error of few
    samples is noisy: where it would increase, T moves back towards 1, as little as needed.

    Args:
        logits: (N, classes), 2 classes or more.
        labels: (N,) integers.

    Returns:
        T, from 0.05 to 20. Neither the mean cross-entropy nor the expected calibration error of these samples is larger
        at T than at 1.
    """
    correct = logits.argmax(axis=1) == labels

    def ece_at(temperature: float) -> float:
        return reliability(softmax(logits / temperature).max(axis=1), correct).ece

    uncalibrated = ece_at(1.0)
    candidates = np.geomspace(cautious_temperature(logits, labels), 1, BACKOFF_STEPS + 1).tolist()
    return next((float(each) for each in candidates if ece_at(each) <= uncalibrated), 1.0)


def cautious_temperature(logits: ArrayLike, labels: NDArray[np.integer[Any]]) -> float:
    """The temperature T of least mean cross-entropy, where a T below 1 needs extra evidence.

    A T below 1 is fitted with two pseudo-samples added, both with the mean logits: one of the most probable class, one
    of the second most probable. This is Laplace's rule of succession; for two separable classes it gives Platt's target
    (N + 1) / (N + 2) (Platt 1999). If this T would exceed 1, the result is 1. A T above 1 lowers confidence and needs
    no such caution.

    Args:
        logits: (N, classes).
        labels: (N,) integers.

    Returns:
        T. As the cross-entropy is convex in 1 / T, it is not larger at T than at 1.
    """
    logits = np.asarray(logits, np.float64)
    own = logits[np.arange(len(labels)), labels].mean()
    temperature = least_cross_entropy(logits, own)
    if temperature >= 1:
        return temperature
    ranked = np.partition(logits, (-2, -1), axis=1)
    first, second = ranked[:, -1].mean(), ranked[:, -2].mean()
    return min(1.0, least_cross_entropy(logits, (len(labels) * own + first + second) / (len(labels) + 2)))


def least_cross_entropy(logits: NDArray[np.float64], target: float) -> float:
    """The T from 0.05 to 20 that minimises the mean of ``log(sum(exp(logits / T))) - target / T``, convex in 1 / T.

    Args:
        logits: (N, classes).
        target: Mean logit of the true classes.
    """
    from scipy.optimize import brentq  # takes a fifth of a second to import

    shifted = logits - logits.max(axis=1, keepdims=True)
    target = target - logits.max(axis=1).mean()

    def slope(log_temperature: float) -> float:  # with respect to 1 / T: above 0 where the model is overconfident
        expected = (softmax(shifted / np.exp(log_temperature)) * shifted).sum(axis=1).mean()
        return float(expected - target)

    low, high = np.log([COLDEST, HOTTEST]).tolist()
    if slope(low) <= 0:
        return COLDEST
    if slope(high) >= 0:
        return HOTTEST
    return float(np.exp(brentq(slope, low, high)))
