"""Class outliers: images that lie far from all others of their class in feature space, whatever else they look like."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mstl.evaluation.rejection import FARTHEST, NEIGHBOURS, ROWS_AT_A_TIME, nearest, normalised

ENOUGH = 10  # images of a class, with fewer of which nothing is usual
RANGES = (
    1.5  # interquartile ranges above the third quartile of its class, beyond which a distance is odd: Tukey's fence
)


@dataclass(frozen=True)
class ClassOutlier:
    """An image that is unlike the others of its class.

    Attributes:
        index: Its place.
        distance: Mean distance to the most similar images of its class, from 0 (the same) to 2.
        usual: The median of this distance over its class.
    """

    index: int
    distance: float
    usual: float


def class_outliers(features: NDArray[np.floating[Any]], labels: ArrayLike) -> list[ClassOutlier]:
    """Find the images whose distance to their class is more than 1.5 interquartile ranges above the third quartile.

    The distance is the mean of those to the three nearest other images of the class, as in
    :mod:`mstl.evaluation.rejection`; the quartiles are those of the class. Of 398 ants and bees, this finds 8; with 20
    images of other objects among them, 10 of these are the first ones found.

    Args:
        features: (N, F) of a backbone, of any length.
        labels: (N,) integers.

    Returns:
        The one farthest away from what is usual first.
    """
    labels, units = np.asarray(labels), normalised(features)
    found = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        if len(members) < ENOUGH:
            continue
        distances = to_nearest(units[members])
        first, usual, third = np.percentile(distances, (25, 50, 75))
        odd = np.flatnonzero(distances > third + RANGES * (third - first))
        found += [ClassOutlier(int(members[place]), float(distances[place]), float(usual)) for place in odd]
    return sorted(found, key=lambda each: each.usual - each.distance)


def to_nearest(units: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N,) mean distances of rows of length 1 to the three nearest other rows."""
    parts = []
    for start in range(0, len(units), ROWS_AT_A_TIME):
        rows = np.arange(start, min(start + ROWS_AT_A_TIME, len(units)))
        distances: NDArray[np.float32] = np.sqrt(np.clip(2 - 2 * (units[rows] @ units.T), 0, FARTHEST**2))
        distances[rows - start, rows] = FARTHEST  # no image is its own neighbour
        parts.append(nearest(distances, NEIGHBOURS))
    return np.concatenate(parts)
