"""Classes of unequal size: how much each photo counts, or how often it is drawn."""

import numpy as np


def class_weights(labels, num_classes):
    """Weights that make all classes count alike in a loss: photos / (classes * photos of the class).

    As scikit-learn's ``class_weight="balanced"``; a class without photos gets 0.

    Args:
        labels: (N,) integers.
        num_classes: Classes, with or without photos.

    Returns:
        (num_classes,) float32; the mean over the photos is 1 where every class has some.
    """
    counts = np.bincount(labels, minlength=num_classes)
    weights = len(labels) / (num_classes * np.maximum(counts, 1))
    return np.where(counts > 0, weights, 0).astype(np.float32)


def balanced_order(labels, rng):
    """Indices of as many photos as there are, drawn with replacement, each class equally likely.

    Args:
        labels: (N,) integers.
        rng: A ``numpy.random.Generator``.
    """
    _, group, counts = np.unique(labels, return_inverse=True, return_counts=True)
    chance = 1 / (len(counts) * counts[group])
    return rng.choice(len(labels), size=len(labels), p=chance)
