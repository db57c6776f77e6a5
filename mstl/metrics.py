"""How good the answers are, in NumPy: sums over the whole set, never means of batch means."""

from dataclasses import dataclass

import numpy as np


def softmax(logits):
    """(N, classes) logits to probabilities; safe for large values."""
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponents / exponents.sum(axis=1, keepdims=True)


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
    def loss(self):
        """Mean cross entropy, in nats."""
        shifted = self.logits - self.logits.max(axis=1, keepdims=True)
        log_sums = np.log(np.exp(shifted.astype(np.float64)).sum(axis=1))
        return float(np.mean(log_sums - shifted[np.arange(self.total), self.labels]))
