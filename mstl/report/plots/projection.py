"""Features of images, hundreds of numbers each, projected to points in the plane that keep similar images together."""

import importlib.util
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mstl.errors import MstlError

METHODS = ("auto", "pca", "tsne")
FEWEST = 10  # images that are worth t-SNE; it arranges neighbourhoods, and fewer have none


def project(
    features: ArrayLike, method: str = "auto", seed: int = 0
) -> tuple[NDArray[np.float64], Literal["pca", "tsne"]]:
    """Points in the plane for the rows of a table.

    Args:
        features: (N, D), a row for each image; N and D are 1 or more.
        method: ``"pca"``; ``"tsne"``; or ``"auto"``: t-SNE if scikit-learn is installed and there is enough to arrange
            (10 images whose features differ), else PCA.
        seed: Of t-SNE's random numbers.

    Returns:
        (N, 2) points, and the name of the method that made them.

    Raises:
        MstlError: An unknown method, features that are not finite, or t-SNE without scikit-learn or for too little.
    """
    if method not in METHODS:
        raise MstlError(f"unknown method {method!r}: choose one of {', '.join(METHODS)}")
    features = np.asarray(features, np.float64)
    if not np.isfinite(features).all():
        raise MstlError(
            "some features are not finite numbers: training diverged; train again with a lower learning rate"
        )
    enough = bool(len(features) >= FEWEST and features.shape[1] > 1 and np.ptp(features, axis=0).any())
    if method == "auto":
        method = "tsne" if enough and importlib.util.find_spec("sklearn") else "pca"
    if method == "pca":
        return pca(features), "pca"
    if not enough:
        raise MstlError(
            f"t-SNE needs {FEWEST} images or more, with two features or more that differ, not a table of "
            f"{len(features)} x {features.shape[1]}: take pca"
        )
    return tsne(features, seed), "tsne"


def pca(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """The two directions in which the rows differ most (principal component analysis), the widest first.

    A direction's sign is arbitrary; here the feature with the largest share in it counts positively.

    Args:
        features: (N, D).

    Returns:
        (N, 2) points around 0, in the features' unit; 0 along a direction that does not exist.
    """
    centered = features - features.mean(axis=0)
    directions = np.linalg.svd(centered, full_matrices=False)[2][:2]
    largest = np.abs(directions).argmax(axis=1, keepdims=True)
    directions *= np.sign(np.take_along_axis(directions, largest, axis=1))
    points = np.zeros((len(features), 2))
    points[:, : len(directions)] = centered @ directions.T
    return points


def tsne(features: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """A map on which neighbours stay neighbours (van der Maaten and Hinton 2008), by scikit-learn, begun from PCA.

    Distances between groups mean little, and so do the groups' sizes.

    Args:
        features: (N, D), not all rows the same.
        seed: Of the random numbers.

    Returns:
        (N, 2) points, without a unit.

    Raises:
        MstlError: scikit-learn is not installed.
    """
    try:
        from sklearn.manifold import TSNE
    except ImportError as error:
        raise MstlError("t-SNE needs scikit-learn: `pip install scikit-learn`, or take pca") from error
    features = features / np.ptp(features, axis=0).max()  # the map is the same, but tiny values would end the process
    perplexity = min(30, (len(features) - 1) / 3)
    model = TSNE(2, perplexity=perplexity, learning_rate="auto", init="pca", random_state=seed)
    return np.asarray(model.fit_transform(features), np.float64)
