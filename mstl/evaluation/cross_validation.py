"""Cross-validation: each image is answered about by a head that has not seen it, on features that are kept."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mstl.evaluation.grouping import grouped_folds
from mstl.evaluation.regularisation import DECAYS, FOLDS, feature_seconds, folds, is_past, products, strongest
from mstl.evaluation.softmax import cross_entropies
from mstl.evaluation.softmax_regression import Array, SoftmaxRegression, Solution
from mstl.runtime import blas_threads
from mstl.runtime.memory import release_pages
from mstl.runtime.progress import Progress

MOST_TOGETHER = 5e8  # products in an objective; beyond, fewer images are held out of each training part, and then the
# folds come one after the other
ROWS_AT_A_TIME = 4096
SEARCH, FINAL = (3e-6, 1e-4), (3e-6, 1e-5)  # tolerances: a tenth of the weight decay, but within these. In float32, a
# weaker weight decay leaves the minimum so flat that a smaller tolerance takes twice the time for the same accuracy
OBJECTIVES = 200  # that are computed, all weight decays together


class OutOfFold(NamedTuple):
    """What cross-validation gives.

    Attributes:
        logits: (N, classes), each row by the head that was fitted without the fold of the image.
        folds: (N,) the fold of each image.
        weight_decays: (K,) that of each fold's head, as an optimizer would have it.
    """

    logits: NDArray[np.float32]
    folds: NDArray[np.intp]
    weight_decays: NDArray[np.float64]


def cross_validate(
    features: Array,
    labels: NDArray[np.int32],
    targets: NDArray[np.float32],
    groups: NDArray[np.integer[Any]],
    count: int,
    seed: int,
    weight_decay: float | None = None,
) -> OutOfFold:
    """Solve for a head on all folds but one, and let it answer about that one, for each in turn.

    Nothing of a fold takes part in its head: the weight decay is chosen by images held out of the other folds, in the
    units of their features alone. (The centre and the scale that the solver works with are those of all images, but
    have no part in the minimum.)

    Args:
        features: (N, F), as a backbone gives them that has not seen the labels.
        labels: (N,) class indices.
        targets: (N, classes): the distribution that each row should have, times its weight.
        groups: (N,) a number for each image, which versions of one picture, or images of one patient, share: they are
            held out together.
        count: Number of folds, K, at least 2 and at most that of the groups.
        seed: Another seed deals the images out otherwise.
        weight_decay: That of all heads; None to choose one for each.

    Raises:
        Stopped: The process was asked to stop.
    """
    fold = grouped_folds(labels, groups, count, seed)
    every = range(count)
    is_small = products([features], targets) * count <= MOST_TOGETHER
    answered = OutOfFold(np.zeros(targets.shape, np.float32), fold, np.zeros(count))
    with Progress("cross-validation", count, "folds") as progress:
        for part in [every] if is_small else [range(each, each + 1) for each in every]:
            search = Search(features, labels, targets, fold, part)
            if weight_decay is None:
                decays, start = search.choose(groups, seed)
            else:
                decays, start = np.full(len(part), weight_decay), None
            rows = np.flatnonzero(np.isin(fold, part))
            answered.logits[rows] = search.answers(decays, start, rows)
            answered.weight_decays[part.start : part.stop] = decays
            progress.advance(len(part))
    return answered


class Search:
    """The heads of some folds, which are solved for as one problem.

    Args:
        features, labels, targets: See :func:`cross_validate`.
        fold: (N,) the fold of each image.
        part: The folds that are held out, one at a time.
    """

    def __init__(
        self,
        features: Array,
        labels: NDArray[np.int32],
        targets: NDArray[np.float32],
        fold: NDArray[np.intp],
        part: range,
    ) -> None:
        self.features, self.labels, self.targets = features, labels, targets
        self.fold, self.part = fold, part
        self.products = products([features], targets)
        self.inner_count = inner_folds(self.products * (int(fold.max()) + 1))

    def problem(self, masks: NDArray[np.bool_]) -> SoftmaxRegression:
        """A problem for each (J, N) choice of images."""
        return SoftmaxRegression([self.features], np.stack([self.targets * mask[:, None] for mask in masks]))

    def answers(self, decays: NDArray[np.float64], start: Solution | None, rows: NDArray[np.intp]) -> Array:
        """(n, classes) answers about images of these folds, by heads with these weight decays."""
        with blas_threads.suited_to(self.products * len(self.part)):
            problem = self.problem(np.stack([self.fold != held_out for held_out in self.part]))
            relative = decays / problem.scale**2
            solution = problem.solve(relative, start, float(np.clip(relative.min() / 10, *FINAL)))
            return problem.answers(solution, rows, self.fold[rows] - self.part.start)

    def choose(self, groups: NDArray[np.integer[Any]], seed: int) -> tuple[NDArray[np.float64], Solution | None]:
        """The weight decay of each head, and solutions near which the heads are.

        The training images of each head are divided into five parts, of which as many are held out, one at a time, as
        is quick; of the weight decays, it is the strongest that is no worse than the best.
        """
        units = squared_lengths(self.features, self.fold)[self.part.start : self.part.stop]
        masks: list[NDArray[np.bool_]] = []
        entries: list[tuple[NDArray[np.intp], NDArray[np.intp]]] = []
        outer_of: list[int] = []
        for outer, number in enumerate(self.part):
            inside = np.flatnonzero(self.fold != number)
            inner = np.full(len(self.fold), -2)
            inner[inside] = folds(self.labels[inside], groups[inside], FOLDS, seed)
            for each in [each for each in range(FOLDS) if (inner == each).any()][: self.inner_count]:
                held_out = np.flatnonzero(inner == each)
                entries.append((held_out, np.full(len(held_out), len(masks))))
                masks.append((inner != -2) & (inner != each))
                outer_of.append(outer)
        if len(set(outer_of)) < len(self.part):  # one picture of each class is left in some training part
            return DECAYS[len(DECAYS) // 2] * units, None
        rows, own = (np.concatenate(each) for each in zip(*entries, strict=True))
        return self._follow(np.stack(masks), rows, own, np.array(outer_of), units)

    def _follow(
        self,
        masks: NDArray[np.bool_],
        rows: NDArray[np.intp],
        own: NDArray[np.intp],
        outer_of: NDArray[np.intp],
        units: NDArray[np.float64],
    ) -> tuple[NDArray[np.float64], Solution | None]:
        """Try weight decays, the strongest first.

        Args:
            masks: (J, N) the images that each problem learns from.
            rows, own: (n,) the images that are held out, and the problem that each is held out of.
            outer_of: (J,) the head whose weight decay a problem is about.
            units: Of each head, the weight decay that counts as 1.
        """
        count = len(self.part)
        members = [np.flatnonzero(outer_of[own] == outer) for outer in range(count)]
        weights, labels = self.targets[rows].sum(1), self.labels[rows]
        losses: list[list[NDArray[np.float64]]] = [[] for _ in range(count)]
        starts: list[NDArray[np.float64]] = []  # of each weight decay, the mean solution of each head's problems
        tried = DECAYS if len(masks) > count else DECAYS[::2]
        with blas_threads.suited_to(self.products * len(masks)):
            problem, solution = self.problem(masks), None
            for decay in tried:
                relative = decay * units[outer_of] / problem.scale**2
                solution = problem.solve(relative, solution, float(np.clip(decay / 10, *SEARCH)))
                found = weights * cross_entropies(problem.answers(solution, rows, own), labels)
                for outer in range(count):
                    losses[outer].append(found[members[outer]])
                by_problem = solution.reshape(len(masks), -1, solution.shape[1])
                starts.append(np.stack([by_problem[outer_of == outer].mean(0) for outer in range(count)]))
                if all(is_past(each) for each in losses):
                    break
        chosen = [strongest(each) for each in losses]
        start = np.concatenate([starts[index][outer] for outer, index in enumerate(chosen)])
        return np.array([tried[index] for index in chosen]) * units, start


def inner_folds(together: float) -> int:
    """How many parts of the training images of a head are held out, of five.

    Args:
        together: Products in the objectives of all heads.
    """
    return int(np.clip(MOST_TOGETHER / together, 1, FOLDS))


def fold_seconds(features: float, classes: int, count: int) -> float:
    """Seconds that a cross-validation takes, roughly, as measured on two cores.

    Args:
        features: Numbers of all images.
        classes: Classes.
        count: Folds.
    """
    together = 2.0 * features * classes * count
    rows, passes = classes * count * inner_folds(together), 1 if together <= MOST_TOGETHER else count
    return OBJECTIVES * features * feature_seconds(rows, passes)


def squared_lengths(features: Array, fold: NDArray[np.intp]) -> NDArray[np.float64]:
    """(K,) for each fold, the mean squared distance from their mean of the features of all images outside of it."""
    count = int(fold.max()) + 1
    sums, squares = np.zeros((count, features.shape[1])), np.zeros(count)
    for start in range(0, len(features), ROWS_AT_A_TIME):
        part, own = np.asarray(features[start : start + ROWS_AT_A_TIME]), fold[start : start + ROWS_AT_A_TIME]
        sums += np.eye(count)[own].T @ part
        squares += np.bincount(own, np.einsum("nf,nf->n", part, part, dtype=np.float64), count)
        release_pages(features)
    others = (len(fold) - np.bincount(fold, minlength=count)).astype(np.float64)
    means = (sums.sum(0) - sums) / others[:, None]
    lengths: NDArray[np.float64] = (squares.sum() - squares) / others - (means**2).sum(1)
    return np.where(lengths > 0, lengths, 1.0)
