"""How good the answers are, in NumPy: sums over the whole set, never means of batch means."""

import math
from dataclasses import dataclass, replace

import numpy as np

from mstl.evaluation.calibration import reliability, softmax


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
        features: (N, F) float32, what the net's head was given; None where nobody asked for them.
        temperature: What the logits are divided by before they become probabilities. Predictions and ``loss`` do not
            depend on it.
    """

    logits: np.ndarray
    labels: np.ndarray
    classes: tuple
    paths: tuple
    features: np.ndarray | None = None
    temperature: float = 1.0

    def calibrated(self, temperature):
        """The same, with probabilities at another temperature (see :func:`mstl.evaluation.calibration.fit_temperature`)."""
        return replace(self, temperature=temperature)

    def part(self, indices):
        """The same of some of the photos, by their indices."""
        return replace(
            self,
            logits=self.logits[indices],
            labels=self.labels[indices],
            paths=tuple(self.paths[index] for index in indices),
            features=None if self.features is None else self.features[indices],
        )

    @property
    def total(self):
        """Number of photos."""
        return len(self.labels)

    @property
    def probabilities(self):
        """(N, classes), each row adding up to 1."""
        return softmax(self.logits / self.temperature)

    @property
    def confidences(self):
        """(N,) the probability of the most probable class of each photo."""
        return self.probabilities.max(axis=1)

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
    def support(self):
        """(classes,) photos of each class."""
        return np.bincount(self.labels, minlength=len(self.classes))

    @property
    def recall(self):
        """(classes,) share of each class's photos that were recognised; NaN for a class without photos."""
        support = self.support
        return np.divide(np.diag(self.confusion), support, out=np.full(len(support), np.nan), where=support > 0)

    @property
    def precision(self):
        """(classes,) share of the photos called so that are so; 0 for a class that was never predicted."""
        called = self.confusion.sum(axis=0)
        return np.divide(np.diag(self.confusion), called, out=np.zeros(len(called)), where=called > 0)

    @property
    def f1(self):
        """(classes,) harmonic mean of precision and recall; 0 where both are, NaN for a class without photos."""
        support, both = self.support, self.support + self.confusion.sum(axis=0)
        f1 = np.divide(2 * np.diag(self.confusion), both, out=np.zeros(len(support)), where=both > 0)
        return np.where(support > 0, f1, np.nan)

    def macro(self, values):
        """Mean of a figure of each class over the classes that have photos."""
        return float(values[self.support > 0].mean())

    def weighted(self, values):
        """Mean of a figure of each class, where a class counts as often as it has photos."""
        support = self.support
        return float(np.average(values[support > 0], weights=support[support > 0]))

    @property
    def balanced_accuracy(self):
        """Mean recall of the classes that have photos: each class counts the same, however many photos it has."""
        return self.macro(self.recall)

    @property
    def macro_precision(self):
        """Mean precision of the classes that have photos."""
        return self.macro(self.precision)

    @property
    def macro_recall(self):
        """Another name of the balanced accuracy."""
        return self.balanced_accuracy

    @property
    def macro_f1(self):
        """Mean of the F1 of the classes that have photos."""
        return self.macro(self.f1)

    @property
    def weighted_precision(self):
        """Mean precision, weighted by photos."""
        return self.weighted(self.precision)

    @property
    def weighted_recall(self):
        """Mean recall, weighted by photos: the accuracy."""
        return self.weighted(self.recall)

    @property
    def weighted_f1(self):
        """Mean F1, weighted by photos."""
        return self.weighted(self.f1)

    @property
    def loss(self):
        """Mean cross entropy of the logits as they are, in nats."""
        return float(np.mean(cross_entropies(self.logits, self.labels)))

    @property
    def nll(self):
        """Mean cross entropy at the temperature, in nats: that of ``probabilities``."""
        return float(np.mean(cross_entropies(self.logits / self.temperature, self.labels)))

    def reliability(self, bins=15):
        """Confidence against accuracy, a :class:`mstl.evaluation.calibration.Reliability`."""
        return reliability(self.confidences, self.predictions == self.labels, bins)

    def ece(self, bins=15):
        """Expected calibration error, from 0 to 1."""
        return self.reliability(bins).ece

    def worst(self, n):
        """Indices of the ``n`` photos with the largest loss, the largest first."""
        return np.argsort(-cross_entropies(self.logits, self.labels), kind="stable")[:n]

    def confident_wrong(self, n):
        """Indices of at most ``n`` photos that were mistaken for another class, the most confident first."""
        wrong = np.flatnonzero(self.predictions != self.labels)
        return wrong[np.argsort(-self.confidences[wrong], kind="stable")][:n]

    def to_dict(self):
        """All figures as plain JSON values; None where there is none, as for the recall of a class without photos."""
        each = zip(self.classes, self.support, self.precision, self.recall, self.f1, strict=True)
        kinds = ("precision", "recall", "f1")
        return {
            "total": self.total,
            "correct": self.correct,
            "accuracy": self.accuracy,
            "interval": list(self.interval),
            **({"top5": self.top(5)} if len(self.classes) > 5 else {}),
            "balanced_accuracy": self.balanced_accuracy,
            "macro": {kind: getattr(self, f"macro_{kind}") for kind in kinds},
            "weighted": {kind: getattr(self, f"weighted_{kind}") for kind in kinds},
            "loss": number(self.loss),
            "nll": number(self.nll),
            "temperature": self.temperature,
            "ece": {"uncalibrated": number(self.calibrated(1.0).ece()), "calibrated": number(self.ece())},
            "classes": [
                {"name": name, "support": int(support), **dict(zip(kinds, map(number, figures), strict=True))}
                for name, support, *figures in each
            ],
            "confusion": self.confusion.tolist(),
        }


def cross_entropies(logits, labels):
    """(N,) cross entropy of each photo, in nats."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_sums = np.log(np.exp(shifted.astype(np.float64)).sum(axis=1))
    return log_sums - shifted[np.arange(len(labels)), labels]


def number(value):
    """A plain float, or None where it is not finite: JSON has no NaN."""
    return float(value) if math.isfinite(value) else None
