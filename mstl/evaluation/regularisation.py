"""Regularisation: the weight decay of a softmax regression that suits held-out images best."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mstl.evaluation.grouping import grouped_folds, is_alone
from mstl.evaluation.softmax import cross_entropies
from mstl.evaluation.softmax_regression import Array, SoftmaxRegression, Solution

# Relative to the features' mean squared length, the strongest first: each search starts at the solution before
DECAYS = tuple(10.0 ** (-half / 2) for half in range(2, 15))
FOLDS = 5
MOST_PRODUCTS = 1e10  # in one objective, beyond which a single fold is held out and every other weight decay tried
OBJECTIVES = 400  # that all of it takes, give or take a half; half of them with a single fold
TOLERANCES = (1e-6, 1e-4)  # of the searches: a tenth of the weight decay, but within these
PATIENCE = 2  # weight decays in a row that are worse than the best by more than chance, after which none is tried


class Trial(NamedTuple):
    """A weight decay, and the mean cross entropy of held-out images with it, in nats."""

    weight_decay: float
    loss: float


class Choice(NamedTuple):
    """The chosen weight decay.

    Attributes:
        weight_decay: As an optimizer would have it.
        folds: How many parts of the images were held out, one at a time.
        trials: All that was tried, from the strongest on.
        start: The mean of the folds' solutions, near which that of all images is; None if nothing was tried.
    """

    weight_decay: float
    folds: int
    trials: tuple[Trial, ...]
    start: Solution | None


def choose_weight_decay(
    views: Sequence[Array],
    labels: NDArray[np.int32],
    targets: NDArray[np.float32],
    groups: Sequence[int],
    seed: int,
) -> Choice:
    """Choose a weight decay by cross-validation.

    Images are held out with all their views, and answered about in the first one, as in validation. Of the weight
    decays whose loss is not more than one standard error above the lowest (the error of the difference between the two,
    image by image), the strongest is taken.

    Args:
        views: V times (N, F) features of the same images.
        labels: (N,) class indices.
        targets: (N, classes): the distribution that each row should have, times its weight.
        groups: For each image, a number that versions of one picture share: they are held out together.
        seed: Another seed divides the images otherwise.

    Raises:
        Stopped: The process was asked to stop.
    """
    count = FOLDS if products(views, targets) * FOLDS <= MOST_PRODUCTS else 1
    fold = folds(labels, groups, FOLDS, seed)
    numbers = [number for number in range(FOLDS) if (fold == number).any()][:count]
    if not numbers:  # one picture of each class
        scale = SoftmaxRegression(views, targets[None]).scale
        return Choice(DECAYS[len(DECAYS) // 2] * scale**2, 0, (), None)
    rows = np.flatnonzero(np.isin(fold, numbers))
    own = np.searchsorted(numbers, fold[rows])  # the problem that a row is held out of
    weights = targets[rows].sum(1)
    problem = SoftmaxRegression(views, np.stack([targets * (fold != number)[:, None] for number in numbers]))

    losses: list[NDArray[np.float64]] = []
    means: list[Solution] = []
    solution = None
    tried = DECAYS if count > 1 else DECAYS[::2]
    for decay in tried:
        solution = problem.solve(decay, solution, float(np.clip(decay / 10, *TOLERANCES)))
        means.append(problem.mean_solution(solution))
        losses.append(weights * cross_entropies(problem.answers(solution, rows, own), labels[rows]))
        if is_past(losses):
            break
    chosen = strongest(losses)
    decays = [decay * problem.scale**2 for decay in tried]
    trials = (Trial(decay, float(each.mean())) for decay, each in zip(decays, losses, strict=False))
    return Choice(decays[chosen], len(numbers), tuple(trials), means[chosen])


def is_past(losses: Sequence[NDArray[np.float64]]) -> bool:
    """Whether the last weight decays are worse than the best, so that weaker ones need not be tried.

    Args:
        losses: Of each weight decay so far, the strongest first, the loss of each held-out image.
    """
    best = min(losses, key=np.mean)
    return len(losses) > PATIENCE and all(is_worse(each, best) for each in losses[-PATIENCE:])


def strongest(losses: Sequence[NDArray[np.float64]]) -> int:
    """The index of the strongest weight decay that is no worse than the best; arguments as of :func:`is_past`."""
    best = min(losses, key=np.mean)
    return next(index for index, each in enumerate(losses) if not is_worse(each, best))


def is_worse(losses: NDArray[np.float64], best: NDArray[np.float64]) -> bool:
    """Whether the mean of losses is above that of others by more than one standard error of the difference."""
    difference = losses - best
    return bool(difference.mean() > difference.std() / max(1, len(difference) - 1) ** 0.5)


def folds(labels: NDArray[np.int32], groups: ArrayLike, count: int, seed: int) -> NDArray[np.intp]:
    """Deal images out to folds, as :func:`mstl.evaluation.grouping.grouped_folds` does.

    Returns:
        (N,) fold numbers; -1 for the only picture of a class, which has to be learnt from, and for its versions.
    """
    fold, group_of = grouped_folds(labels, groups, count, seed), np.asarray(groups)
    fold[np.isin(group_of, group_of[is_alone(labels, group_of)])] = -1
    return fold


def products(views: Sequence[Array], targets: NDArray[np.float32]) -> float:
    """Multiplications in the objective of one problem."""
    return 2.0 * len(views) * views[0].size * targets.shape[1]


def solver_seconds(features: float, classes: int) -> float:
    """Seconds to choose a weight decay and to solve for a head, roughly, as measured on two cores.

    Args:
        features: Numbers in all views of all images.
        classes: Classes.
    """
    is_large = 2.0 * features * classes * FOLDS > MOST_PRODUCTS
    objectives, rows = (OBJECTIVES / 2, classes) if is_large else (OBJECTIVES, FOLDS * classes)
    return objectives * features * feature_seconds(rows)


def feature_seconds(rows: int, passes: int = 1) -> float:
    """Seconds that a feature takes in an objective, as measured on two cores.

    It is read, as often as the rows are computed in parts (``passes``), and multiplied with each row of all heads: many
    rows take less each.
    """
    return 1.2e-9 * passes + 6.5e-11 * min(rows, 100) + 3.5e-11 * rows
