"""Evaluation of a labelled dataset: accuracy, recall, F1 and the like, from sums over all samples."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mstl.evaluation.calibration import Reliability, reliability
from mstl.evaluation.softmax import cross_entropies, softmax

KINDS = ("precision", "recall", "f1")
NORMAL_95 = 1.959963984540054  # between minus this and this lie 95 % of a standard normal distribution


def wilson(correct: float, total: float) -> tuple[float, float]:
    """95 % Wilson score interval of a proportion (Wilson 1927), sensible for few samples and near 0 or 1.

    Args:
        correct: Successes; a fraction where several trials tell as much as one.
        total: Trials, at least 1; so.

    Returns:
        (low, high).
    """
    share, spread = correct / total, NORMAL_95**2 / total
    middle = (share + spread / 2) / (1 + spread)
    half = math.sqrt(spread * (share * (1 - share) + spread / 4)) / (1 + spread)
    return 0.0 if correct == 0 else middle - half, 1.0 if correct == total else middle + half


@dataclass(frozen=True)
class Evaluation:
    """Logits and labels of a whole dataset, in its order; every figure, plot and table is derived from them.

    Attributes:
        logits: (N, classes).
        labels: (N,).
        classes: Names.
        paths: (N,) files.
        features: (N, F) inputs of the model's head, or (n, F) of those in ``featured``; None where none were kept.
        featured: (n,) sorted indices of the samples whose features are kept; None for all.
        rejected: (N,) whether an exported model rejects each sample; None from a checkpoint, whose rejector can tell.
        temperature: Divides the logits before the softmax. It changes neither predictions nor ``loss``.
    """

    logits: NDArray[np.float32]
    labels: NDArray[np.int32]
    classes: tuple[str, ...]
    paths: tuple[str, ...]
    features: NDArray[np.float32] | None = None
    temperature: float = 1.0
    featured: NDArray[np.intp] | None = None
    rejected: NDArray[np.bool_] | None = None

    def calibrated(self, temperature: float) -> "Evaluation":
        """A copy with another temperature (see :func:`mstl.evaluation.calibration.fit_temperature`)."""
        return replace(self, temperature=temperature)

    def part(self, indices: NDArray[np.integer[Any]]) -> "Evaluation":
        """The evaluation of the samples with these indices alone, with features if those of all samples are kept."""
        return replace(
            self,
            logits=self.logits[indices],
            labels=self.labels[indices],
            paths=tuple(self.paths[index] for index in indices),
            features=None if self.features is None or self.featured is not None else self.features[indices],
            featured=None,
            rejected=None if self.rejected is None else self.rejected[indices],
        )

    @property
    def total(self) -> int:
        """Number of samples."""
        return len(self.labels)

    @property
    def probabilities(self) -> NDArray[np.float32]:
        """(N, classes), each row summing to 1."""
        return softmax(self.logits / self.temperature)

    @property
    def confidences(self) -> NDArray[np.float32]:
        """(N,) probability of the predicted class."""
        confidences: NDArray[np.float32] = self.probabilities.max(axis=1)
        return confidences

    @property
    def predictions(self) -> NDArray[np.intp]:
        """(N,) index of the most probable class."""
        predictions: NDArray[np.intp] = self.logits.argmax(axis=1)
        return predictions

    @property
    def correct(self) -> int:
        """Number of correct predictions."""
        return int((self.predictions == self.labels).sum())

    @property
    def accuracy(self) -> float:
        """Share of correct predictions."""
        return self.correct / self.total

    @property
    def interval(self) -> tuple[float, float]:
        """95 % confidence interval of the accuracy, (low, high)."""
        return wilson(self.correct, self.total)

    def top(self, k: int) -> float:
        """Top-k accuracy: share of samples whose class is among the ``k`` most probable."""
        best = np.argsort(-self.logits, axis=1, kind="stable")[:, :k]
        return float((best == self.labels[:, None]).any(axis=1).mean())

    @property
    def confusion(self) -> NDArray[np.int64]:
        """(classes, classes) confusion matrix: samples by true class (rows) and predicted class (columns)."""
        n = len(self.classes)
        return np.bincount(self.labels * n + self.predictions, minlength=n * n).reshape(n, n)

    @property
    def support(self) -> NDArray[np.int64]:
        """(classes,) samples of each class."""
        return np.bincount(self.labels, minlength=len(self.classes))

    @property
    def recall(self) -> NDArray[np.float64]:
        """(classes,) share of each class that was predicted correctly; NaN for a class without samples."""
        support = self.support
        return np.divide(np.diag(self.confusion), support, out=np.full(len(support), np.nan), where=support > 0)

    @property
    def precision(self) -> NDArray[np.float64]:
        """(classes,) share of the predictions of each class that are correct; 0 for a class that is never predicted."""
        predicted = self.confusion.sum(axis=0)
        return np.divide(np.diag(self.confusion), predicted, out=np.zeros(len(predicted)), where=predicted > 0)

    @property
    def f1(self) -> NDArray[np.float64]:
        """(classes,) harmonic mean of precision and recall; 0 where both are 0, NaN for a class without samples."""
        support, both = self.support, self.support + self.confusion.sum(axis=0)
        f1 = np.divide(2 * np.diag(self.confusion), both, out=np.zeros(len(support)), where=both > 0)
        return np.where(support > 0, f1, np.nan)

    def macro(self, values: NDArray[np.float64]) -> float:
        """Unweighted mean of (classes,) values over the classes that have samples."""
        return float(values[self.support > 0].mean())

    def weighted(self, values: NDArray[np.float64]) -> float:
        """Mean of (classes,) values, each class weighted by its number of samples."""
        support = self.support
        return float(np.average(values[support > 0], weights=support[support > 0]))

    @property
    def balanced_accuracy(self) -> float:
        """Mean recall over the classes that have samples: each class counts the same, whatever its size."""
        return self.macro(self.recall)

    @property
    def macro_precision(self) -> float:
        """Mean precision over the classes that have samples."""
        return self.macro(self.precision)

    @property
    def macro_recall(self) -> float:
        """Another name of the balanced accuracy."""
        return self.balanced_accuracy

    @property
    def macro_f1(self) -> float:
        """Mean F1 over the classes that have samples."""
        return self.macro(self.f1)

    @property
    def weighted_precision(self) -> float:
        """Mean precision, weighted by samples."""
        return self.weighted(self.precision)

    @property
    def weighted_recall(self) -> float:
        """Mean recall, weighted by samples: the accuracy."""
        return self.weighted(self.recall)

    @property
    def weighted_f1(self) -> float:
        """Mean F1, weighted by samples."""
        return self.weighted(self.f1)

    @property
    def loss(self) -> float:
        """Mean cross-entropy of the uncalibrated logits, in nats."""
        return float(np.mean(cross_entropies(self.logits, self.labels)))

    @property
    def nll(self) -> float:
        """Mean cross-entropy of ``probabilities``, in nats."""
        return float(np.mean(cross_entropies(self.logits / self.temperature, self.labels)))

    def reliability(self, bins: int = 15) -> Reliability:
        """Confidence against accuracy, by confidence bins."""
        return reliability(self.confidences, self.predictions == self.labels, bins)

    def ece(self, bins: int = 15) -> float:
        """Expected calibration error, from 0 to 1."""
        return self.reliability(bins).ece

    def worst(self, n: int) -> NDArray[np.intp]:
        """Indices of the ``n`` samples with the largest loss, largest first."""
        return np.argsort(-cross_entropies(self.logits, self.labels), kind="stable")[:n]

    def confident_wrong(self, n: int) -> NDArray[np.intp]:
        """Indices of at most ``n`` wrong predictions, most confident first."""
        wrong = np.flatnonzero(self.predictions != self.labels)
        return wrong[np.argsort(-self.confidences[wrong], kind="stable")][:n]

    def to_dict(self) -> dict[str, Any]:
        """All metrics as plain JSON values; None where undefined, as for the recall of a class without samples."""
        return {
            "total": self.total,
            "correct": self.correct,
            "accuracy": self.accuracy,
            "interval": list(self.interval),
            **({"top5": self.top(5)} if len(self.classes) > 5 else {}),
            "balanced_accuracy": self.balanced_accuracy,
            "macro": {kind: getattr(self, f"macro_{kind}") for kind in KINDS},
            "weighted": {kind: getattr(self, f"weighted_{kind}") for kind in KINDS},
            "loss": json_number(self.loss),
            "nll": json_number(self.nll),
            "temperature": self.temperature,
            "ece": {"uncalibrated": json_number(self.calibrated(1.0).ece()), "calibrated": json_number(self.ece())},
            "classes": list(self.by_class()),
            "confusion": self.confusion.tolist(),
        }

    def by_class(self) -> Iterable[dict[str, Any]]:
        """Name, support, precision, recall and F1 of each class, as plain JSON values."""
        each = zip(self.classes, self.support, self.precision, self.recall, self.f1, strict=True)
        for name, support, *values in each:
            yield {"name": name, "support": int(support), **dict(zip(KINDS, map(json_number, values), strict=True))}


def json_number(value: float) -> float | None:
    """A plain float; None where it is not finite, as JSON has no NaN."""
    return float(value) if math.isfinite(value) else None
