"""Photos whose label is probably wrong, found by asking classifiers that have not seen them. NumPy only."""

import csv
from dataclasses import astuple, dataclass, fields

import numpy as np

from mstl.errors import MstlError
from mstl.evaluation.calibration import softmax
from mstl.evaluation.rejection import normalised
from mstl.files import atomic_path

PENALTY = 0.01  # on half the squared weights, for each photo of a class; from 0.002 to 0.02, real photos hardly mind
STEPS = 200
CLOSE = 3e-4  # a step this small, as a share of the largest weight, is the last: probabilities are then right to 0.003


@dataclass(frozen=True)
class LabelError:
    """A photo that other photos say belongs to another class.

    Attributes:
        index: Its place in the set.
        path: Its file.
        label: The name of the class that it is in.
        suggested: The name of the class that it seems to be of.
        probability: That its label is right, from 0 to 1.
        score: How suspicious, from 0.5 (could be either) to 1 (surely the suggested one).
    """

    index: int
    path: str
    label: str
    suggested: str
    probability: float
    score: float


def find_label_errors(features, labels, classes, paths, folds=5, seed=0):
    """Find photos whose label is probably wrong.

    A logistic regression is fitted on all folds but one and asked about the photos in that one, so that no photo
    vouches for its own label. Photos that it puts into another class are ranked by confident learning's normalised
    margin, p(most probable other class) - p(own class) (Northcutt et al. 2021, "Confident Learning: Estimating
    Uncertainty in Dataset Labels"); the score is (1 + margin) / 2.

    Args:
        features: (N, F) of the photos, as a pretrained net gives them.
        labels: (N,) integers. A class's only photo is never a suspect: nothing is known about the class without it.
        classes: Names.
        paths: (N,) files.
        folds: Parts, 2 or more, each with its share of every class.
        seed: Deals the photos out to the folds.

    Returns:
        A list of :class:`Suspect`, the most suspicious first; empty where all labels look right.

    Raises:
        MstlError: Features are not finite.
    """
    if not np.isfinite(features).all():
        raise MstlError("some features are not finite numbers: training diverged; train again with a smaller rate")
    labels = np.asarray(labels)
    probabilities = out_of_fold(rotated(features), labels, len(classes), deal(labels, folds, seed))
    rows = np.arange(len(labels))
    own = probabilities[rows, labels]
    suggested = probabilities.argmax(axis=1)
    scores = (1 + probabilities[rows, suggested] - own) / 2
    found = np.flatnonzero((suggested != labels) & (np.bincount(labels)[labels] > 1))
    return [
        LabelError(
            int(index),
            str(paths[index]),
            classes[labels[index]],
            classes[suggested[index]],
            float(own[index]),
            float(scores[index]),
        )
        for index in found[np.argsort(-scores[found], kind="stable")]
    ]


def write_label_errors(path, found):
    """Write suspects as CSV (path, label, suggested, probability, score), whole or not at all."""
    with atomic_path(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow([field.name for field in fields(LabelError)][1:])
        for suspect in found:
            *texts, probability, score = astuple(suspect)[1:]
            writer.writerow([*texts, f"{probability:.4f}", f"{score:.4f}"])


def deal(labels, folds, seed):
    """(N,) the fold of each photo: the classes are shuffled each by itself and dealt out one after the other."""
    order = np.random.default_rng(seed).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    places = np.empty(len(labels), int)
    places[order] = np.arange(len(labels)) % folds
    return places


def out_of_fold(features, labels, num_classes, places):
    """(N, classes) the probabilities that a regression gives which was fitted on the other folds."""
    probabilities = np.zeros((len(labels), num_classes), np.float32)
    bounds = (features**2).sum(axis=0)
    for fold in np.unique(places):
        inside = places == fold
        weights = fit_regression(features[~inside], np.eye(num_classes, dtype=np.float32)[labels[~inside]], bounds)
        probabilities[inside] = softmax(features[inside] @ weights)
    return probabilities


def rotated(features):
    """Bring features to length 1, centre them, and turn them to their principal axes.

    The turn changes nothing for a regression but its speed.

    Args:
        features: (N, F).

    Returns:
        (N, at most min(N, F) + 1) float32 whose columns are orthogonal; the last one is all ones, for the intercept.
        Without it, the mean squared length of the rows is 1.
    """
    centred = normalised(features)
    centred -= centred.mean(axis=0)
    few = len(centred) < centred.shape[1]
    squares, axes = np.linalg.eigh(centred @ centred.T if few else centred.T @ centred)
    real = squares > 1e-6 * squares[-1]  # what is less is float32's noise
    turned = axes[:, real] * np.sqrt(squares[real]) if few else centred @ axes[:, real]
    turned *= np.sqrt(len(turned) / max(squares[real].sum(), 1e-12))  # no axis is real where all photos are the same
    return np.concatenate([turned, np.ones((len(turned), 1), np.float32)], axis=1).astype(np.float32)


def fit_regression(features, targets, bounds):
    """Multinomial logistic regression with an L2 penalty on all weights but the intercept's.

    Nesterov's accelerated gradient, begun anew where it overshoots (O'Donoghue and Candes 2015). The steps come from
    Boehning's bound on the Hessian (1992), half of the features' scatter, which is diagonal on the principal axes.

    Args:
        features: (N, D), the last column all ones.
        targets: (N, classes), one-hot.
        bounds: (D,) sums of squares of each column, over these rows or more.

    Returns:
        (D, classes) weights.
    """
    penalty = np.full((features.shape[1], 1), PENALTY * len(targets) / targets.shape[1], np.float32)
    penalty[-1] = 0
    curvature = (bounds[:, None] / 2 + penalty).astype(np.float32)
    weights = np.zeros((features.shape[1], targets.shape[1]), np.float32)
    ahead, momentum = weights, 1.0
    for _ in range(STEPS):
        gradient = features.T @ (softmax(features @ ahead) - targets) + penalty * ahead
        new = ahead - gradient / curvature
        moved = new - weights
        if np.abs(moved).max() <= CLOSE * np.abs(new).max():
            return new
        if (gradient * moved).sum() > 0:
            ahead, momentum = new, 1.0
        else:
            following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
            ahead = new + np.float32((momentum - 1) / following) * moved
            momentum = following
        weights = new
    return weights
