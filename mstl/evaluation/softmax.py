"""Softmax and cross-entropy, without SciPy: exported models are evaluated where that is not installed."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def softmax(logits: ArrayLike) -> NDArray[Any]:
    """Probabilities of (N, classes) logits, in their precision; each row sums to 1."""
    values = np.asarray(logits)
    exponentials = np.exp(values - values.max(axis=1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))


def cross_entropies(logits: NDArray[np.float32], labels: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """(N,) cross-entropy of each sample, in nats."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_sums = np.log(np.exp(shifted.astype(np.float64)).sum(axis=1))
    losses: NDArray[np.float64] = log_sums - shifted[np.arange(len(labels)), labels]
    return losses
