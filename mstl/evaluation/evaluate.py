"""The whole of a set through a net."""

import numpy as np

from mstl.evaluation.metrics import Evaluation
from mstl.runtime.processes import ProcessGroup

KEEP_FEATURES = 20_000  # photos: the features of more would take too much memory


def evaluate(answer, loader, processes=None):
    """Ask a net about every photo of a set.

    Args:
        answer: From a batch to (n, classes) logits and (n, num_features) features, as arrays; such as
            :meth:`mstl.models.fusing.FusedModel.compile_classifier` gives.
        loader: A :class:`mstl.data.loading.loader.Loader` that does not shuffle, with this process's share of the set, or
            another source of such batches.
        processes: The processes that share the set; one alone if not given.

    Returns:
        An :class:`mstl.evaluation.metrics.Evaluation` of the whole set in its order, the same in every process. It holds the
        features of up to 20,000 photos, of more none.
    """
    processes = processes or ProcessGroup()
    images = loader.images
    logits = np.zeros((len(images), len(images.classes)), np.float32)
    features = None
    seen = np.zeros(len(images), np.float32)
    place = processes.rank
    for batch, labels in loader.batches():
        rows = np.arange(place, place + len(labels) * processes.size, processes.size)
        logits[rows], given = answer(batch)
        if len(images) <= KEEP_FEATURES:
            if features is None:
                features = np.zeros((len(images), given.shape[1]), np.float32)
            features[rows] = given
        seen[rows] += labels.asnumpy() == images.labels[rows]
        place = rows[-1] + processes.size
    logits, seen = processes.sum(logits), processes.sum(seen)
    features = None if features is None else processes.sum(features)
    if not (seen == 1).all():
        raise AssertionError("the pipeline did not give each photo once, in the set's order")
    return Evaluation(logits, images.labels, images.classes, images.paths, features=features)
