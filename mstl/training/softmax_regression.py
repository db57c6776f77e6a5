"""Softmax regression: the linear classifier of least cross entropy and squared weights, found by L-BFGS.

The objective is that of training a head with weight decay: the mean cross entropy, and half the weight decay times the
sum of squared weights; the bias is free. It is convex, so that its minimum does not depend on where and how one starts.
Several such problems on the same rows, such as those of cross-validation, are solved as one, by one matrix product.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from mstl.runtime import stopping
from mstl.runtime.memory import release_pages

MOST_STEPS = 1000
BLOCK = 4 * 10**6  # features, or answers, that are in memory at a time
Array = NDArray[np.floating[Any]]
Solution = NDArray[np.float64]


class SoftmaxRegression:
    """J problems on the same N rows of F features, which are seen in V views.

    Features are centred and divided by one number, so that their mean squared length is 1: gradients and tolerances
    then mean the same for all models. Centring changes nothing, as the bias makes up for it.

    Args:
        views: V times (N, F); not copied.
        targets: (J, N, K): for each problem, the distribution over classes that each row should have, times its weight.
            Rows of zeros take no part.

    Attributes:
        scale: The root of the features' mean squared length. A weight decay is relative to its square.
    """

    def __init__(self, views: Sequence[Array], targets: NDArray[np.float32]) -> None:
        self.views, self.targets = views, np.ascontiguousarray(targets.transpose(1, 0, 2))  # (N, J, K)
        self.weights = self.targets.sum(2, keepdims=True)
        self.counts = len(views) * (self.weights > 0).sum(0)  # (J, 1) rows that take part
        self.dtype = np.result_type(views[0].dtype, np.float32)
        self.size = self.targets.shape[1] * self.targets.shape[2]  # columns: problems times classes
        total = sum(len(view) for view in views)
        self.mean = np.sum([part.sum(0, dtype=np.float64) for part, _ in self._blocks()], axis=0) / total
        squares = sum(float(np.einsum("nf,nf->", part, part, dtype=np.float64)) for part, _ in self._blocks()) / total
        self.scale = float(np.sqrt(max(squares - self.mean @ self.mean, np.finfo(float).tiny)))

    def solve(self, relative_decay: float, start: Solution | None = None, tolerance: float | None = None) -> Solution:
        """The minimum for a weight decay.

        Args:
            relative_decay: The weight decay over the square of ``scale``, above 0.
            start: A solution for another weight decay, near which to search.
            tolerance: The largest entry of the gradient at the minimum; None for what the features' precision allows.

        Returns:
            (F + 1, J * K): for each class of each problem, the weights of the scaled features, and the bias.

        Raises:
            Stopped: The process was asked to stop.
        """
        if tolerance is None:  # a weak weight decay leaves the minimum flat
            tolerance = 1e-6 if self.dtype == np.float32 else min(1e-6, 1e-3 * relative_decay)
        start = np.zeros((self.views[0].shape[1] + 1, self.size)) if start is None else start
        found = minimize(
            self._objective,
            start.ravel(),
            (relative_decay,),
            method="L-BFGS-B",
            jac=True,
            # No limit on the change of the objective (ftol): in float32, small steps would end the search early
            options={"maxiter": MOST_STEPS, "maxfun": 2 * MOST_STEPS, "gtol": tolerance, "ftol": 0.0},
        )
        solution: Solution = found.x.reshape(start.shape)
        return solution

    def logits(self, solution: Solution, view: Array) -> Array:
        """(N, J, K) answers about rows of features."""
        weights, bias = self.head(solution)
        return (view @ weights + bias).reshape(len(view), *self.targets.shape[1:])

    def answers(self, solution: Solution, rows: NDArray[np.integer[Any]], problems: NDArray[np.integer[Any]]) -> Array:
        """(n, K) answers about some rows in the first view, each by the problem that is given for it."""
        count = self._block_size
        parts = []
        for start in range(0, len(rows), count):
            part = np.asarray(self.views[0][rows[start : start + count]])
            parts.append(self.logits(solution, part)[np.arange(len(part)), problems[start : start + count]])
            release_pages(self.views[0])
        return np.concatenate(parts)

    def head(self, solution: Solution) -> tuple[Array, Array]:
        """A solution as weights (F, J * K) of the features as they are, and biases (J * K,)."""
        weights = solution[:-1] / self.scale
        return weights.astype(self.dtype), (solution[-1] - self.mean @ weights).astype(self.dtype)

    def losses(self, solution: Solution) -> NDArray[np.float64]:
        """(J,) mean cross entropies, in nats, without the weight decay."""
        parts = (self._loss(self.logits(solution, part), rows)[0] for part, rows in self._blocks())
        return sum(parts, np.zeros(len(self.counts)))

    @property
    def _block_size(self) -> int:
        """Rows of a block."""
        return max(1, BLOCK // max(self.size, self.views[0].shape[1]))

    def _blocks(self) -> Iterator[tuple[Array, slice]]:
        """All views in blocks, with the rows of each: what is computed of all rows at once would fill the memory."""
        count = self._block_size
        for view in self.views:
            for start in range(0, len(view), count):
                rows = slice(start, start + count)
                yield np.asarray(view[rows]), rows
                release_pages(view)

    def _loss(self, logits: Array, rows: slice) -> tuple[NDArray[np.float64], Array]:
        """The part of a block of n rows in the losses (J,), and its gradient with respect to the logits (n, J, K)."""
        weights, targets = self.weights[rows], self.targets[rows]
        logits -= logits.max(2, keepdims=True)
        probabilities = np.exp(logits)
        totals = probabilities.sum(2, keepdims=True)
        losses = weights[..., 0] * np.log(totals[..., 0]) - (targets * logits).sum(2)
        probabilities *= weights / totals
        probabilities -= targets
        probabilities /= self.counts.astype(self.dtype)
        return losses.sum(0, float) / self.counts[:, 0], probabilities

    def _objective(self, flat: NDArray[np.float64], relative_decay: float) -> tuple[float, NDArray[np.float64]]:
        """The sum of all problems' objectives and its gradient, as SciPy wants them."""
        stopping.check()
        solution = flat.reshape(-1, self.size)
        value, gradient = 0.0, np.zeros_like(solution)
        for part, rows in self._blocks():
            losses, by_logits = self._loss(self.logits(solution, part), rows)
            by_logits = by_logits.reshape(len(part), -1)
            value += losses.sum()
            gradient[:-1] += part.T @ by_logits
            gradient[-1] += by_logits.sum(0, float)
        gradient[:-1] = (gradient[:-1] - np.outer(self.mean, gradient[-1])) / self.scale
        gradient[:-1] += relative_decay * solution[:-1]
        value += relative_decay / 2 * float((solution[:-1] ** 2).sum())
        return value, gradient.ravel()
