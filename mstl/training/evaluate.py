"""The whole of a set through a net."""

import numpy as np

from mstl.metrics import Evaluation


def evaluate(net, loader):
    """Run a net over every photo of a set.

    Args:
        net: From (N, 3, H, W) images to (N, classes) logits; it is put into evaluation mode.
        loader: A :class:`mstl.data.loader.Loader` that does not shuffle.

    Returns:
        An :class:`mstl.metrics.Evaluation` in the set's order.
    """
    net.set_train(False)
    logits, labels = [], []
    for images, targets in loader.batches():
        logits.append(net(images).asnumpy())
        labels.append(targets.asnumpy())
    labels = np.concatenate(labels)
    if not np.array_equal(labels, loader.images.labels):
        raise AssertionError("the pipeline gave the photos in another order than the set's")
    return Evaluation(np.concatenate(logits), labels, loader.images.classes, loader.images.paths)
