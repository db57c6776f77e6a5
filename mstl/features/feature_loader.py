"""FeatureLoader: batches of cached features in the place of batches of images."""

from collections.abc import Iterator, Sequence

import mindspore as ms
import numpy as np

from mstl.data.loading.loader import Loader
from mstl.features.shard import FloatArray


class FeatureLoader:
    """Batches of features, in the place of a :class:`mstl.data.loading.loader.Loader` of the images.

    Args:
        loader: The Loader whose order of images it keeps.
        views: For each view, (N, C, h, w) features. An image is seen in the next of its views in each epoch.
    """

    def __init__(self, loader: Loader, views: Sequence[FloatArray]) -> None:
        self.loader, self.views, self.images = loader, views, loader.images

    def __len__(self) -> int:
        return len(self.loader)

    def batches(self, epoch: int = 0) -> Iterator[tuple[ms.Tensor, ms.Tensor]]:
        """One pass over the images.

        Yields:
            (n, C, h, w) float32 features and (n,) int32 labels.
        """
        order, size = self.loader.order(epoch), self.loader.batch_size
        for start in range(0, len(order), size):
            indices = order[start : start + size]
            batch = np.empty((len(indices), *self.views[0].shape[1:]), np.float32)
            view = (indices + epoch) % len(self.views)
            for number, features in enumerate(self.views):
                batch[view == number] = features[indices[view == number]]
            labels = self.images.labels[indices].astype(np.int32)
            yield ms.Tensor.from_numpy(batch), ms.Tensor.from_numpy(labels)
