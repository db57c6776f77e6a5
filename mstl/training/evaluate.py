"""The whole of a set through a net."""

import numpy as np

from mstl.metrics import Evaluation
from mstl.training.distributed import World


def evaluate(net, loader, world=None):
    """Run a net over every photo of a set.

    Args:
        net: From (N, 3, H, W) images to (N, classes) logits; it is put into evaluation mode.
        loader: A :class:`mstl.data.loader.Loader` that does not shuffle, with this process's share of the set.
        world: The processes that share the set; one alone if not given.

    Returns:
        An :class:`mstl.metrics.Evaluation` of the whole set in its order, the same in every process.
    """
    world = world or World()
    net.set_train(False)
    images = loader.images
    logits = np.zeros((len(images), len(images.classes)), np.float32)
    seen = np.zeros(len(images), np.float32)
    place = world.rank
    for batch, labels in loader.batches():
        rows = np.arange(place, place + len(labels) * world.size, world.size)
        logits[rows] = net(batch).asnumpy()
        seen[rows] += labels.asnumpy() == images.labels[rows]
        place = rows[-1] + world.size
    logits, seen = world.sum(logits), world.sum(seen)
    if not (seen == 1).all():
        raise AssertionError("the pipeline did not give each photo once, in the set's order")
    return Evaluation(logits, images.labels, images.classes, images.paths)
