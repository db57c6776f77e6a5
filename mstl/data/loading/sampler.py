"""Unbalanced classes: class weights for the loss, and balanced sampling."""

import numpy as np
from numpy.typing import NDArray


def class_weights(labels: NDArray[np.int32], num_classes: int) -> NDArray[np.float32]:
    """Weights that make all classes count equally in the loss: images / (classes * images of the class).

    As scikit-learn's ``class_weight="balanced"``; a class without images gets 0.

    Args:
        labels: (N,) class indices.
        num_classes: The number of classes, with or without images.

    Returns:
        (num_classes,); the mean over the images is 1 if every class has some.
    """
    counts = np.bincount(labels, minlength=num_classes)
    weights = len(labels) / (num_classes * np.maximum(counts, 1))
    return np.where(counts > 0, weights, 0).astype(np.float32)


def balanced_order(labels: NDArray[np.int32], rng: np.random.Generator) -> NDArray[np.int64]:
    """(N,) indices of images, drawn with replacement, each class equally likely.

    Args:
        labels: (N,) class indices.
        rng: Draws the images.
    """
    _, group, counts = np.unique(labels, return_inverse=True, return_counts=True)
    probability = 1 / (len(counts) * counts[group])
    return rng.choice(len(labels), size=len(labels), p=probability)
