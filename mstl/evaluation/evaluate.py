"""evaluate(): run a model over a whole dataset."""

from collections.abc import Callable, Iterator
from typing import Protocol

import mindspore as ms
import numpy as np
from numpy.typing import NDArray

from mstl.data.dataset import ImageSet
from mstl.evaluation.metrics import Evaluation
from mstl.runtime.processes import ProcessGroup

KEEP_FEATURES = 20_000  # samples: the features of more would take too much memory


class BatchSource(Protocol):
    """An unshuffled loader, such as :class:`mstl.data.loading.loader.Loader` or a loader of cached features."""

    @property
    def images(self) -> ImageSet:
        """The whole dataset."""
        ...

    def batches(self) -> Iterator[tuple[ms.Tensor, ms.Tensor]]:
        """Inputs and labels of this process's share of the dataset."""
        ...


def evaluate(
    predict: Callable[[ms.Tensor], tuple[NDArray[np.float32], NDArray[np.float32]]],
    loader: BatchSource,
    processes: ProcessGroup | None = None,
) -> Evaluation:
    """Run a model over a whole dataset.

    Args:
        predict: From a batch to (n, classes) logits and (n, num_features) features, such as
            :meth:`mstl.models.fusing.FusedModel.compile_classifier` returns.
        loader: Yields this process's share of the dataset, unshuffled.
        processes: The processes that share the dataset; this one alone if None.

    Returns:
        The evaluation of the whole dataset in its order, the same in every process. Features are kept for at most
        20,000 samples.
    """
    processes = processes or ProcessGroup()
    images = loader.images
    logits = np.zeros((len(images), len(images.classes)), np.float32)
    features: NDArray[np.float32] | None = None
    seen = np.zeros(len(images), np.float32)
    position = processes.rank
    for batch, labels in loader.batches():
        rows = np.arange(position, position + len(labels) * processes.size, processes.size)
        logits[rows], batch_features = predict(batch)
        if len(images) <= KEEP_FEATURES:
            if features is None:
                features = np.zeros((len(images), batch_features.shape[1]), np.float32)
            features[rows] = batch_features
        seen[rows] += labels.asnumpy() == images.labels[rows]
        position = rows[-1] + processes.size
    logits, seen = processes.sum(logits), processes.sum(seen)
    features = None if features is None else processes.sum(features)
    if not (seen == 1).all():
        raise AssertionError("the loader did not yield each image exactly once, in the dataset's order")
    return Evaluation(logits, images.labels, images.classes, images.paths, features=features)
