"""Label errors: samples whose label is probably wrong, found by classifiers that were not trained on them."""

import csv
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mstl.errors import MstlError
from mstl.evaluation.grouping import grouped_folds, is_alone
from mstl.evaluation.rejection import normalised
from mstl.evaluation.softmax import softmax
from mstl.evaluation.softmax_regression import SoftmaxRegression
from mstl.files import atomic_path
from mstl.runtime import blas_threads

PENALTY = 0.01  # weight decay over the mean squared length of centred features, times the classes; between 0.002 and
# 0.02, results hardly change
LARGE = 1e9  # products of samples, features and classes from which on regressions would take minutes
SHRINKAGE = 0.1  # of a covariance towards a multiple of the identity


@dataclass(frozen=True)
class LabelError:
    """A sample that the other samples assign to another class.

    Attributes:
        index: Position in the dataset.
        path: File of the image.
        label: Name of its class.
        suggested: Name of the class that it appears to belong to.
        probability: Probability that the label is right, from 0 to 1, as other samples tell.
    """

    index: int
    path: str
    label: str
    suggested: str
    probability: float


def find_label_errors(
    features: NDArray[np.floating[Any]],
    labels: ArrayLike,
    classes: Sequence[str],
    paths: Sequence[str],
    folds: int = 5,
    seed: int = 0,
    groups: Sequence[int] | None = None,
) -> list[LabelError]:
    """Find samples whose label is probably wrong.

    Logistic regressions are cross-validated, so that no sample confirms its own label, nor that of a copy; linear
    discriminants, which take a hundredth of the time, where there are many samples of many classes.

    Args:
        features: (N, F) outputs of a backbone that has not seen the labels.
        labels: (N,) integers. The only sample of a class is never reported: without it, nothing is known of the class.
        classes: Names.
        paths: (N,) files.
        folds: Cross-validation folds, 2 or more, stratified by class.
        seed: Random seed of the folds.
        groups: (N,) a number for each sample, which versions of one picture share: they confirm each other's labels as
            little as their own. None: each on its own.

    Returns:
        As :func:`rank_label_errors` ranks them.

    Raises:
        MstlError: Features are not finite.
    """
    if not np.isfinite(features).all():
        raise MstlError("some features are not finite: training diverged; train again with a smaller learning rate")
    labels = np.asarray(labels)
    dealt = grouped_folds(labels, groups, folds, seed)
    probabilities = out_of_fold(np.asarray(features, np.float32), labels, len(classes), dealt)
    return rank_label_errors(probabilities, labels, classes, paths, is_alone(labels, groups))


def rank_label_errors(
    probabilities: NDArray[np.floating[Any]],
    labels: ArrayLike,
    classes: Sequence[str],
    paths: Sequence[str],
    unknown: NDArray[np.bool_] | None = None,
) -> list[LabelError]:
    """Rank the samples that are predicted as another class than theirs.

    By the probability of their label, its self-confidence in confident learning (Northcutt, Jiang and Chuang 2021,
    "Confident Learning: Estimating Uncertainty in Dataset Labels"). These are the samples, in the order, that
    cleanlab's ``find_label_issues`` gives with ``predicted_neq_given`` and ``self_confidence``. Of two classes, the
    margin to the most probable class ranks alike. Of 20 kinds of object, 5 % of whose labels were made wrong, the first
    of this ranking were 98 % of these, those by margin 95 %: where several classes are likely, the margin is small
    though the label is wrong.

    Args:
        probabilities: (N, classes) by a classifier that has not seen the label of the sample.
        labels: (N,) integers.
        classes: Names.
        paths: (N,) files.
        unknown: (N,) samples that are not reported, as nothing is known of their class.

    Returns:
        The most suspicious first; empty where all labels look right.
    """
    labels = np.asarray(labels)
    own = probabilities[np.arange(len(labels)), labels]
    suggested = probabilities.argmax(axis=1)
    found = np.flatnonzero((suggested != labels) & (True if unknown is None else ~unknown))
    return [
        LabelError(
            index=int(index),
            path=str(paths[index]),
            label=classes[labels[index]],
            suggested=classes[suggested[index]],
            probability=float(own[index]),
        )
        for index in found[np.argsort(own[found], kind="stable")]
    ]


def write_label_errors(path: str | PathLike[str], found: Sequence[LabelError]) -> None:
    """Write label errors as CSV (path, label, suggested, probability), atomically."""
    with (
        atomic_path(path) as temporary,
        open(temporary, "w", newline="", encoding="utf-8", errors="backslashreplace") as stream,
    ):
        writer = csv.writer(stream)
        writer.writerow([field.name for field in fields(LabelError)][1:])
        for each in found:
            *texts, probability = astuple(each)[1:]
            writer.writerow([*texts, f"{probability:.4f}"])


def out_of_fold(
    features: NDArray[np.float32], labels: NDArray[np.integer[Any]], num_classes: int, folds: NDArray[np.intp]
) -> NDArray[np.float32]:
    """(N, classes) probabilities of each sample by a classifier fitted on the other folds, of directions of features.

    It is a softmax regression, or of large problems, a discriminant.
    """
    units = normalised(features)
    if units.size * num_classes > LARGE:
        return by_discriminants(units, labels, num_classes, folds)
    numbers, own = np.unique(folds, return_inverse=True)
    targets = np.eye(num_classes, dtype=np.float32)[labels]
    with blas_threads.suited_to(len(numbers) * units.size * num_classes):
        problem = SoftmaxRegression([units], np.stack([targets * (folds != each)[:, None] for each in numbers]))
        solution = problem.solve(PENALTY / num_classes)
        return softmax(problem.answers(solution, np.arange(len(labels)), own))


def by_discriminants(
    features: NDArray[np.float32], labels: NDArray[np.integer[Any]], num_classes: int, folds: NDArray[np.intp]
) -> NDArray[np.float32]:
    """(N, classes) probabilities of each sample by linear discriminants fitted on the other folds."""
    probabilities = np.zeros((len(labels), num_classes), np.float32)
    for fold in np.unique(folds):
        held_out = folds == fold
        weights, bias = fit_discriminant(features[~held_out], labels[~held_out], num_classes)
        probabilities[held_out] = softmax(features[held_out] @ weights + bias)
    return probabilities


def fit_discriminant(
    points: NDArray[np.float32], labels: NDArray[np.integer[Any]], num_classes: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Fit a linear discriminant analysis, in closed form: all classes have one covariance, which is shrunk.

    Args:
        points: (N, F).
        labels: (N,) integers.
        num_classes: Classes, of which some may have no sample.

    Returns:
        (F, classes) weights, and (classes,) biases.
    """
    from scipy.sparse import csr_array

    counts = np.bincount(labels, minlength=num_classes)
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
    return weights.astype(np.float32), bias.astype(np.float32)
