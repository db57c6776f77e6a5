"""Feature sample: of a large dataset, features are kept of some images only, as those of all take too much memory."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mstl.evaluation.metrics import Evaluation

KEEP_FEATURES = 20_000  # images: 100 MB of 1,280 features


def sample_rows(labels: NDArray[np.integer[Any]], size: int) -> NDArray[np.intp]:
    """Choose images of a dataset, the same share of each class; always the same ones.

    Args:
        labels: (N,) integers.
        size: How many to choose; all if there are not more.

    Returns:
        (min(N, size),) sorted indices.
    """
    if len(labels) <= size:
        return np.arange(len(labels))
    order = np.random.default_rng(0).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]  # class by class, shuffled within
    return np.sort(order[((np.arange(size) + 0.5) * len(labels) / size).astype(np.intp)])


def featured_part(evaluation: Evaluation) -> Evaluation:
    """The evaluation of the images whose features are kept; the same one if those are all, or none."""
    rows = evaluation.featured
    if rows is None:
        return evaluation
    return replace(evaluation.part(rows), features=evaluation.features)
