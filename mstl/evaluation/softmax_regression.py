"""Softmax regression: the linear classifier of least cross entropy and squared weights, found by L-BFGS.

The objective is that of training a head with weight decay: the mean cross entropy, and half the weight decay times the
sum of squared weights; the bias is free. It is convex, so that its minimum does not depend on where and how one starts.
Several such problems on the same rows, such as those of cross-validation, are solved as one.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from mstl.runtime import stopping
from mstl.runtime.memory import release_pages

MOST_STEPS = 1000
FINEST = 1e-5  # entry of a gradient that float32 can tell from its own rounding
BLOCK = 4 * 10**6  # features, or answers, that are in memory at a time
FEW = 16  # rows, up to which OpenBLAS multiplies them one by one faster than all at once
Array = NDArray[np.floating[Any]]
Solution = NDArray[np.float64]


class SoftmaxRegression:
    """J problems of K classes on the same N rows of F features, which are seen in V views.

    Features are centred and divided by one number, so that their mean squared length is 1: gradients and tolerances
    then mean the same for all models. Centring changes nothing, as the bias makes up for it.

    A solution has a row for each class of each problem: F weights of the scaled features, and the bias. Of two classes,
    the minimum's rows are each other's opposite: only that of the second one is searched for.

    Args:
        views: V times (N, F); not copied.
        targets: (J, N, K): for each problem, the distribution over classes that each row should have, times its weight.
            Rows of zeros take no part.

    Attributes:
        scale: The root of the features' mean squared length. A weight decay is relative to its square.
        twins: Rows of the head that a row of a solution stands for: 2 if there are two classes.
    """

    def __init__(self, views: Sequence[Array], targets: NDArray[np.float32]) -> None:
        self.views, self.targets = views, np.ascontiguousarray(targets.transpose(0, 2, 1))  # (J, K, N)
        self.weights = self.targets.sum(1, keepdims=True)
        self.dtype = np.result_type(views[0].dtype, np.float32)
        self.counts = len(views) * (self.weights > 0).sum(2).astype(self.dtype)  # (J, 1) rows that take part
        problems, classes, _ = self.targets.shape
        self.twins = 2 if classes == 2 else 1
        self.shape = (problems * classes // self.twins, views[0].shape[1] + 1)
        total = sum(len(view) for view in views)
        self.mean = np.sum([part.sum(0, dtype=np.float64) for part, _ in self._blocks()], axis=0) / total
        squares = sum(float(np.einsum("nf,nf->", part, part, dtype=np.float64)) for part, _ in self._blocks()) / total
        length = squares - float(self.mean @ self.mean)
        self.scale = length**0.5 if length > 1e-12 * squares else 1.0  # features that do not vary tell nothing

    def solve(
        self,
        relative_decay: float | NDArray[np.float64],
        start: Solution | None = None,
        tolerance: float | None = None,
    ) -> Solution:
        """The minimum for a weight decay.

        Args:
            relative_decay: The weight decay over the square of ``scale``, above 0; or (J,), one for each problem.
            start: A solution for another weight decay, near which to search.
            tolerance: The largest entry of the gradient at the minimum, as far as the features' precision allows; None
                for that.

        Returns:
            The solution.

        Raises:
            Stopped: The process was asked to stop.
        """
        if tolerance is None:  # a weak weight decay leaves the minimum flat
            tolerance = min(1e-6, 1e-3 * float(np.min(relative_decay)))
        if self.dtype == np.float32:
            tolerance = max(tolerance, FINEST)
        of_problems = np.broadcast_to(self.twins * np.asarray(relative_decay, float), len(self.targets))
        decays = np.repeat(of_problems, self.shape[0] // len(self.targets))[:, None]
        found = minimize(
            self._objective,
            np.zeros(self.shape).ravel() if start is None else start.ravel(),
            (decays,),
            method="L-BFGS-B",
            jac=True,
            # No limit on the change of the objective (ftol): in float32, small steps would end the search early
            options={"maxiter": MOST_STEPS, "maxfun": 2 * MOST_STEPS, "gtol": self.twins * tolerance, "ftol": 0.0},
        )
        solution: Solution = found.x.reshape(self.shape)
        return solution

    def mean_solution(self, solution: Solution) -> Solution:
        """The mean of all problems' solutions, as that of a single problem."""
        mean: Solution = solution.reshape(len(self.targets), -1, self.shape[1]).mean(0)
        return mean

    def logits(self, solution: Solution, view: Array) -> Array:
        """(J, K, n) answers about n rows of features."""
        weights, biases = self._unscaled(solution)
        answers = product(weights, view.T)
        answers += biases[:, None]
        return self._per_class(answers).reshape(*self.targets.shape[:2], -1)

    def answers(self, solution: Solution, rows: NDArray[np.integer[Any]], problems: NDArray[np.integer[Any]]) -> Array:
        """(n, K) answers about some rows in the first view, each by the problem that is given for it."""
        count = self._block_size
        parts = []
        for start in range(0, len(rows), count):
            part = np.asarray(self.views[0][rows[start : start + count]])
            logits = self.logits(solution, part)
            parts.append(logits[problems[start : start + count], :, np.arange(len(part))])
            release_pages(self.views[0])
        return np.concatenate(parts)

    def head(self, solution: Solution) -> tuple[Array, Array]:
        """A solution as weights (J * K, F) of the features as they are, and biases (J * K,)."""
        weights, biases = self._unscaled(solution)
        return self._per_class(weights), self._per_class(biases[:, None])[:, 0]

    def losses(self, solution: Solution) -> NDArray[np.float64]:
        """(J,) mean cross entropies, in nats, without the weight decay."""
        parts = (self._loss(self.logits(solution, part), rows)[0] for part, rows in self._blocks())
        return sum(parts, np.zeros(len(self.counts)))

    def _unscaled(self, solution: Solution) -> tuple[Array, Array]:
        """The weights and biases of a solution's rows, for the features as they are."""
        weights = solution[:, :-1] / self.scale
        return weights.astype(self.dtype), (solution[:, -1] - weights @ self.mean).astype(self.dtype)

    def _per_class(self, rows: Array) -> Array:
        """What each row of a solution has, (rows, n), as what each class has: (J * K, n)."""
        return rows if self.twins == 1 else np.stack((-rows, rows), 1).reshape(-1, rows.shape[1])

    @property
    def _block_size(self) -> int:
        """Rows of a block."""
        return max(1, BLOCK // max(len(self.targets) * self.targets.shape[1], self.views[0].shape[1]))

    def _blocks(self) -> Iterator[tuple[Array, slice]]:
        """All views in blocks, with the rows of each: what is computed of all rows at once would fill the memory."""
        count = self._block_size
        for view in self.views:
            for start in range(0, len(view), count):
                rows = slice(start, start + count)
                yield np.asarray(view[rows]), rows
                release_pages(view)

    def _loss(self, logits: Array, rows: slice) -> tuple[NDArray[np.float64], Array]:
        """The part of a block of n rows in the losses (J,), and its gradient with respect to the logits (J, K, n)."""
        weights, targets = self.weights[..., rows], self.targets[..., rows]
        logits -= logits.max(1, keepdims=True)
        probabilities = np.exp(logits)
        totals = probabilities.sum(1, keepdims=True)
        losses = (weights * np.log(totals)).sum((1, 2), float) - (targets * logits).sum((1, 2), float)
        probabilities *= weights / totals
        probabilities -= targets
        probabilities /= self.counts[..., None]
        return losses / self.counts[:, 0], probabilities

    def _objective(self, flat: NDArray[np.float64], decays: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """The sum of all problems' objectives and its gradient, as SciPy wants them; ``decays`` are (rows, 1)."""
        stopping.check()
        solution = flat.reshape(self.shape)
        value, gradient = float((decays * solution[:, :-1] ** 2).sum()) / 2, np.zeros(self.shape)
        for part, rows in self._blocks():
            losses, by_logits = self._loss(self.logits(solution, part), rows)
            by_row = by_logits.reshape(self.shape[0], self.twins, -1)
            by_row = by_row[:, 1] - by_row[:, 0] if self.twins == 2 else by_row[:, 0]
            value += losses.sum()
            gradient[:, :-1] += product(by_row, part)
            gradient[:, -1] += by_row.sum(1, float)
        gradient[:, :-1] = (gradient[:, :-1] - np.outer(gradient[:, -1], self.mean)) / self.scale
        gradient[:, :-1] += decays * solution[:, :-1]
        return value, gradient.ravel()


def product(rows: Array, matrix: Array) -> Array:
    """The matrix product, of a few rows, too, at the speed of the memory."""
    return rows @ matrix if len(rows) > FEW else np.stack([row @ matrix for row in rows])
