"""Softmax, without SciPy: exported models answer where that is not installed."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def softmax(logits: ArrayLike) -> NDArray[Any]:
    """Probabilities of (N, classes) logits, in their precision; each row sums to 1."""
    values = np.asarray(logits)
    exponentials = np.exp(values - values.max(axis=1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))
