"""Label errors: samples whose label is probably wrong, found by classifiers that were not trained on them."""

import csv
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_softmax, softmax

from mstl.errors import MstlError
from mstl.evaluation.rejection import normalised
from mstl.files import atomic_path

PENALTY = 0.01  # on half the squared weights, per sample of a class; between 0.002 and 0.02, results hardly change
LARGE = 1e9  # products of samples, features and classes from which on regressions would take minutes
SHRINKAGE = 0.1  # of a covariance towards a multiple of the identity
TOLERANCE = 1e-4  # on the gradient, in units where no curvature exceeds 1: probabilities are right to about 1e-4


@dataclass(frozen=True)
class LabelError:
    """A sample that the other samples assign to another class.

    Attributes:
        index: Position in the dataset.
        path: File of the image.
        label: Name of its class.
        suggested: Name of the class that it appears to belong to.
        probability: Probability that the label is right, from 0 to 1.
        score: From 0.5 (either class) to 1 (certainly the suggested one).
    """

    index: int
    path: str
    label: str
    suggested: str
    probability: float
    score: float


def find_label_errors(
    features: NDArray[np.floating[Any]],
    labels: ArrayLike,
    classes: Sequence[str],
    paths: Sequence[str],
    folds: int = 5,
    seed: int = 0,
) -> list[LabelError]:
    """Find samples whose label is probably wrong.

    Logistic regressions are cross-validated, so that no sample confirms its own label; linear discriminants, which take
    a hundredth of the time, where there are many samples of many classes. Samples predicted as another class are ranked
    by confident learning's normalised margin, p(most probable other class) - p(own class) (Northcutt et al. 2021,
    "Confident Learning: Estimating Uncertainty in Dataset Labels"); the score is (1 + margin) / 2.

    Args:
        features: (N, F) outputs of a pretrained backbone.
        labels: (N,) integers. The only sample of a class is never reported: without it, nothing is known of the class.
        classes: Names.
        paths: (N,) files.
        folds: Cross-validation folds, 2 or more, stratified by class.
        seed: Random seed of the folds.

    Returns:
        The most suspicious first; empty where all labels look right.

    Raises:
        MstlError: Features are not finite.
    """
    if not np.isfinite(features).all():
        raise MstlError("some features are not finite: training diverged; train again with a smaller learning rate")
    labels = np.asarray(labels)
    probabilities = out_of_fold(principal_axes(features), labels, len(classes), stratified_folds(labels, folds, seed))
    rows = np.arange(len(labels))
    own = probabilities[rows, labels]
    suggested = probabilities.argmax(axis=1)
    scores = (1 + probabilities[rows, suggested] - own) / 2
    found = np.flatnonzero((suggested != labels) & (np.bincount(labels)[labels] > 1))
    return [
        LabelError(
            index=int(index),
            path=str(paths[index]),
            label=classes[labels[index]],
            suggested=classes[suggested[index]],
            probability=float(own[index]),
            score=float(scores[index]),
        )
        for index in found[np.argsort(-scores[found], kind="stable")]
    ]


def write_label_errors(path: str | PathLike[str], found: Sequence[LabelError]) -> None:
    """Write label errors as CSV (path, label, suggested, probability, score), atomically."""
    with (
        atomic_path(path) as temporary,
        open(temporary, "w", newline="", encoding="utf-8", errors="backslashreplace") as stream,
    ):
        writer = csv.writer(stream)
        writer.writerow([field.name for field in fields(LabelError)][1:])
        for each in found:
            *texts, probability, score = astuple(each)[1:]
            writer.writerow([*texts, f"{probability:.4f}", f"{score:.4f}"])


def stratified_folds(labels: NDArray[np.integer[Any]], folds: int, seed: int) -> NDArray[np.intp]:
    """(N,) fold of each sample: every class is shuffled and its samples are dealt out in turn."""
    order = np.random.default_rng(seed).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    assigned = np.empty(len(labels), np.intp)
    assigned[order] = np.arange(len(labels)) % folds
    return assigned


def out_of_fold(
    features: NDArray[np.float32], labels: NDArray[np.integer[Any]], num_classes: int, folds: NDArray[np.intp]
) -> NDArray[np.float32]:
    """(N, classes) probabilities of each sample by a regression fitted on the other folds."""
    probabilities = np.zeros((len(labels), num_classes), np.float32)
    squares = (features**2).sum(axis=0)
    weights = np.zeros((features.shape[1], num_classes))
    is_large = features.size * num_classes > LARGE
    for fold in np.unique(folds):
        held_out = folds == fold
        if is_large:
            discriminant = fit_discriminant(features[~held_out], labels[~held_out], num_classes)
            probabilities[held_out] = softmax(features[held_out] @ discriminant, axis=1)
            continue
        targets = np.eye(num_classes)[labels[~held_out]]
        # The last fold's weights save half of the steps. They do not change the minimum, which is unique.
        weights = fit_regression(features[~held_out], targets, squares, weights)
        probabilities[held_out] = softmax(features[held_out] @ weights, axis=1)
    return probabilities


def fit_discriminant(
    features: NDArray[np.float32], labels: NDArray[np.integer[Any]], num_classes: int
) -> NDArray[np.float32]:
    """Fit a linear discriminant analysis, in closed form: all classes have one covariance, which is shrunk.

    Args:
        features: (N, D), the last column all ones.
        labels: (N,) integers.
        num_classes: Classes, of which some may have no sample.

    Returns:
        (D, classes) weights.
    """
    from scipy.sparse import csr_array

    points, counts = features[:, :-1], np.bincount(labels, minlength=num_classes)
    of_class = csr_array(
        (np.ones(len(labels), np.float32), labels, np.arange(len(labels) + 1)), (len(labels), num_classes)
    )
    means = (of_class.T @ points) / np.maximum(counts, 1)[:, None].astype(np.float32)
    within = points - means[labels]
    covariance = within.T @ within / max(1, len(labels) - np.count_nonzero(counts))
    spread = max(float(np.trace(covariance)) / len(covariance), 1e-12)
    covariance = (1 - SHRINKAGE) * covariance + SHRINKAGE * spread * np.eye(len(covariance), dtype=np.float32)
    weights = np.linalg.solve(covariance, means.T)
    bias = np.log(np.maximum(counts, 1e-9) / len(labels)) - (means.T * weights).sum(axis=0) / 2
    return np.vstack([weights, bias]).astype(np.float32)


def principal_axes(features: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Scale features to length 1, centre them, and rotate them to their principal axes.

    The rotation does not change the regression; it makes it faster.

    Args:
        features: (N, F).

    Returns:
        (N, at most min(N, F) + 1). The columns are orthogonal; the last one is all ones, for the intercept. Without
        it, the mean squared length of the rows is 1.
    """
    centred = normalised(features)
    centred -= centred.mean(axis=0)
    wide = len(centred) < centred.shape[1]
    eigenvalues, axes = np.linalg.eigh(centred @ centred.T if wide else centred.T @ centred)
    kept = eigenvalues > 1e-6 * eigenvalues[-1]  # the rest is float32 noise
    rotated = axes[:, kept] * np.sqrt(eigenvalues[kept]) if wide else centred @ axes[:, kept]
    rotated *= np.sqrt(len(rotated) / max(eigenvalues[kept].sum(), 1e-12))  # no axis is kept if all samples are equal
    with_intercept: NDArray[np.float32] = np.hstack([rotated, np.ones((len(rotated), 1), np.float32)])
    return with_intercept


def fit_regression(
    features: NDArray[np.float32],
    targets: NDArray[np.float64],
    squares: NDArray[np.float32],
    start: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Fit a multinomial logistic regression with an L2 penalty on all weights but the intercepts, by L-BFGS.

    The weights are scaled by Boehning's bound on the Hessian (1992), half the scatter matrix of the features, which is
    diagonal on their principal axes: L-BFGS then needs few steps.

    Args:
        features: (N, D), the last column all ones.
        targets: (N, classes), one-hot.
        squares: (D,) sum of squares of each column, over these rows or more.
        start: (D, classes) initial weights.

    Returns:
        (D, classes) weights.
    """
    from scipy.optimize import minimize  # takes a fifth of a second to import

    penalty = np.full((features.shape[1], 1), PENALTY * len(targets) / targets.shape[1])
    penalty[-1] = 0
    scale = 1 / np.sqrt(squares[:, None] / 2 + penalty)
    inputs, penalty = features * scale.T, penalty * scale**2

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights = flat.reshape(start.shape)
        log_probabilities = log_softmax(inputs @ weights, axis=1)
        value = (penalty * weights**2).sum() / 2 - (targets * log_probabilities).sum()
        gradient = inputs.T @ (np.exp(log_probabilities) - targets) + penalty * weights
        return float(value), gradient.ravel()

    first = (start / scale).ravel()
    result = minimize(loss, first, jac=True, method="L-BFGS-B", options={"gtol": TOLERANCE, "ftol": 0.0})
    weights: NDArray[np.float64] = result.x.reshape(start.shape) * scale
    return weights
