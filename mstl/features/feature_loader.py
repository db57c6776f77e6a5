"""FeatureLoader: batches of cached features in the place of batches of images."""

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import mindspore as ms
import numpy as np
from numpy.typing import NDArray

from mstl.data.loading.loader import Loader
from mstl.features.row_storage import take
from mstl.features.shard import FloatArray

Batch: TypeAlias = tuple[NDArray[np.float32], NDArray[np.int32]]


class FeatureLoader:
    """Batches of features, in the place of a :class:`mstl.data.loading.loader.Loader` of the images.

    Args:
        loader: The Loader whose order of images it keeps.
        views: For each view, (N, C, h, w) activations or (N, C) pooled features. An image is seen in the next of its
            views in each epoch.
    """

    def __init__(self, loader: Loader, views: Sequence[FloatArray]) -> None:
        self.loader, self.views, self.images = loader, views, loader.images

    def __len__(self) -> int:
        return len(self.loader)

    def batches(self, epoch: int = 0) -> Iterator[tuple[ms.Tensor, ms.Tensor]]:
        """One pass over the images, as tensors; see :meth:`arrays`."""
        for rows, labels in self.arrays(epoch):
            yield ms.Tensor.from_numpy(rows), ms.Tensor.from_numpy(labels)

    def arrays(self, epoch: int = 0) -> Iterator[Batch]:
        """One pass over the images.

        Yields:
            (n, C, h, w) or (n, C) float32 features, and (n,) int32 labels.
        """
        order, size = self.loader.order(epoch), self.loader.batch_size
        for start in range(0, len(order), size):
            indices = order[start : start + size]
            yield self._rows(indices, epoch), self.images.labels[indices]

    def _rows(self, indices: NDArray[np.int64], epoch: int) -> NDArray[np.float32]:
        """The features of images, each in its view of this epoch."""
        if len(self.views) == 1:
            return np.asarray(take(self.views[0], indices), np.float32)
        rows = np.empty((len(indices), *self.views[0].shape[1:]), np.float32)
        number = (indices + epoch) % len(self.views)
        for view, features in enumerate(self.views):
            rows[number == view] = take(features, indices[number == view])
        return rows
