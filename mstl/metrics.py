"""How good the answers are, in NumPy: sums over the whole set, never means of batch means."""

import math
from dataclasses import dataclass

import numpy as np


def softmax(logits):
    """(N, classes) logits to probabilities; safe for large values."""
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponents / exponents.sum(axis=1, keepdims=True)


def wilson(correct, total, z=1.959964):
    """Wilson's score interval of a share (Wilson 1927), which stays sensible for few photos and shares near 0 or 1.

    Args:
        correct: Successes.
        total: Trials, at least 1.
        z: Quantile of the normal distribution; the default gives 95 %.

    Returns:
        (low, high).
    """
    share, spread = correct / total, z * z / total
    centre = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / total + spread / (4 * total)) / (1 + spread)
    return max(0.0, centre - half), min(1.0, centre + half)


@dataclass(frozen=True)
class Evaluation:
    """What a net says about a labelled set, in the set's order. Everything that is drawn or printed comes from here.

    Attributes:
        logits: (N, classes) float32.
        labels: (N,) int32.
        classes: Names.
        paths: (N,) files.
    """

    logits: np.ndarray
    labels: np.ndarray
    classes: tuple
    paths: tuple

    @property
    def total(self):
        """Number of photos."""
        return len(self.labels)

    @property
    def probabilities(self):
        """(N, classes), each row adding up to 1."""
        return softmax(self.logits)

    @property
    def predictions(self):
        """(N,) the most probable class of each photo."""
        return self.logits.argmax(axis=1)

    @property
    def correct(self):
        """Number of photos whose most probable class is theirs."""
        return int((self.predictions == self.labels).sum())

    @property
    def accuracy(self):
        """Correct over total."""
        return self.correct / self.total

    @property
    def interval(self):
        """95 % confidence interval of the accuracy, (low, high)."""
        return wilson(self.correct, self.total)

    def top(self, k):
        """Share of photos whose own class is among the ``k`` most probable."""
        best = np.argsort(-self.logits, axis=1, kind="stable")[:, :k]
        return float((best == self.labels[:, None]).any(axis=1).mean())

    @property
    def confusion(self):
        """(classes, classes) photos by their own class (rows) and the predicted one (columns)."""
        n = len(self.classes)
        return np.bincount(self.labels * n + self.predictions, minlength=n * n).reshape(n, n)

    @property
    def recall(self):
        """(classes,) share of each class's photos that were recognised; NaN for a class without photos."""
        support = self.confusion.sum(axis=1)
        return np.divide(np.diag(self.confusion), support, out=np.full(len(support), np.nan), where=support > 0)

    @property
    def precision(self):
        """(classes,) share of the photos called so that are so; 0 for a class that was never predicted."""
        called = self.confusion.sum(axis=0)
        return np.divide(np.diag(self.confusion), called, out=np.zeros(len(called)), where=called > 0)

    @property
    def f1(self):
        """(classes,) harmonic mean of precision and recall; 0 where both are, NaN for a class without photos."""
        confusion = self.confusion
        support, called = confusion.sum(axis=1), confusion.sum(axis=0)
        f1 = np.divide(2 * np.diag(confusion), support + called, out=np.zeros(len(support)), where=support + called > 0)
        return np.where(support > 0, f1, np.nan)

    @property
    def macro_f1(self):
        """Mean of the F1 of the classes that have photos."""
        return float(np.nanmean(self.f1))

    @property
    def loss(self):
        """Mean cross entropy, in nats."""
        shifted = self.logits - self.logits.max(axis=1, keepdims=True)
        log_sums = np.log(np.exp(shifted.astype(np.float64)).sum(axis=1))
        return float(np.mean(log_sums - shifted[np.arange(self.total), self.labels]))
