"""evaluate(): run a model over a whole dataset, or its head over the features of one."""

from collections.abc import Callable, Generator, Iterator
from typing import Any, Protocol, TypeAlias

import mindspore as ms
import numpy as np
from numpy.typing import NDArray

from mstl.data.dataset import ImageSet
from mstl.evaluation import feature_sample
from mstl.evaluation.metrics import Evaluation
from mstl.runtime import mindspore_thread
from mstl.runtime.processes import ProcessGroup
from mstl.runtime.progress import Progress

Predict: TypeAlias = Callable[[ms.Tensor], tuple[NDArray[np.float32], NDArray[np.float32]]]


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
    predict: Predict,
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
        The evaluation of the whole dataset in its order, the same in every process. Features are kept of at most
        20,000 samples, chosen by :mod:`mstl.evaluation.feature_sample`.
    """
    processes = processes or ProcessGroup()
    images = loader.images
    logits = np.zeros((len(images), len(images.classes)), np.float32)
    features: NDArray[np.float32] | None = None
    featured = feature_sample.sample_rows(images.labels, feature_sample.KEEP_FEATURES)
    seen = np.zeros(len(images), np.float32)
    position = processes.rank
    share = len(range(position, len(images), processes.size))
    with Progress("evaluating", share, quiet=not processes.is_first) as progress:
        for labels, batch_logits, batch_features in mindspore_thread.iterate(outputs, predict, loader):
            rows = np.arange(position, position + len(labels) * processes.size, processes.size)
            logits[rows] = batch_logits
            if features is None:
                features = np.zeros((len(featured), batch_features.shape[1]), np.float32)
            kept = np.isin(rows, featured)
            features[np.searchsorted(featured, rows[kept])] = batch_features[kept]
            seen[rows] += labels == images.labels[rows]
            position = rows[-1] + processes.size
            progress.advance(len(labels))
    logits, seen = processes.sum(logits), processes.sum(seen)
    features = None if features is None else processes.sum(features)
    if not (seen == 1).all():
        raise AssertionError("the loader did not yield each image exactly once, in the dataset's order")
    all_kept = len(featured) == len(images)
    return Evaluation(
        logits, images.labels, images.classes, images.paths, features, featured=None if all_kept else featured
    )


def evaluate_head(
    features: NDArray[np.floating[Any]], weight: NDArray[np.float32], bias: NDArray[np.float32], images: ImageSet
) -> Evaluation:
    """Evaluate a linear head on the features of a whole dataset, by one matrix product.

    Args:
        features: (N, C) pooled features, in the dataset's order.
        weight, bias: (classes, C) and (classes,) of the head.
        images: The dataset.
    """
    logits = (features @ weight.T + bias).astype(np.float32, copy=False)
    featured = feature_sample.sample_rows(images.labels, feature_sample.KEEP_FEATURES)
    if len(featured) == len(images):
        return Evaluation(logits, images.labels, images.classes, images.paths, np.asarray(features, np.float32))
    kept = np.asarray(features[featured], np.float32)
    return Evaluation(logits, images.labels, images.classes, images.paths, kept, featured=featured)


def outputs(
    predict: Predict, loader: BatchSource
) -> Generator[tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.float32]], None, None]:
    """Labels, logits and features of each batch."""
    for batch, labels in loader.batches():
        yield labels.asnumpy(), *predict(batch)
