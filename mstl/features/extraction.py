"""Extraction: the images of a view on their way to features."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mstl.data.dataset import ImageSet
from mstl.features.shard import FloatArray


@dataclass(frozen=True)
class Extraction:
    """Images on their way to activations.

    Attributes:
        images: The images.
        stamps: :func:`mstl.data.samples.stamp` of each file, from before its digest was taken.
        digests: Of each file's content.
        keys: Of each image in the feature cache.
        rows: (N, C, h, w), filled in along the way.
    """

    images: ImageSet
    stamps: Sequence[str | None]
    digests: Sequence[str]
    keys: Sequence[str]
    rows: FloatArray

    def different(self, indices: Sequence[int]) -> NDArray[np.int64]:
        """Of these images, those that differ: the first of each key, sorted."""
        first = {self.keys[index]: index for index in reversed(indices)}
        return np.array(sorted(first.values()), np.int64)
