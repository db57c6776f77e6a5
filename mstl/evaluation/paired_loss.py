"""Paired loss: how much accuracy a changed model may have lost, from both models' answers to the same images."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95  # one-sided
NORMAL = 1.6448536269514722  # below this lie 95 % of a standard normal distribution


@dataclass(frozen=True)
class PairedLoss:
    """Two models' answers to the same images.

    Attributes:
        images: Their number, at least 1.
        before, after: How many of them the original and the changed model get right.
        lost: How many only the original gets right.
        gained: How many only the changed one gets right.
    """

    images: int
    before: int
    after: int
    lost: int
    gained: int

    @classmethod
    def of(cls, before: NDArray[np.bool_], after: NDArray[np.bool_]) -> "PairedLoss":
        """From whether the original and the changed model are right on each of (N,) images."""
        lost, gained = int((before & ~after).sum()), int((after & ~before).sum())
        return cls(len(before), int(before.sum()), int(after.sum()), lost, gained)

    @property
    def most(self) -> float:
        """The largest loss of accuracy, as a share, that the images do not exclude: a one-sided 95 % upper bound.

        It is the bound of Tango's score test of paired proportions (Tango 1998, Statistics in Medicine 17:891), the one
        that keeps its level best with few images (Fagerland, Lydersen & Laake 2014), but never below the exact one of
        Clopper and Pearson for as many losses as there are more than gains: with hardly any differences, Tango's is too
        small. Counted out for a true loss of 1 %, up to 20 % gains and 260 to 3,000 images, the bound lies below 1 % in
        at most 5.3 % of all cases.
        """
        from scipy.optimize import brentq
        from scipy.stats import beta

        surplus = max(0, self.lost - self.gained)
        if surplus == self.images:
            return 1.0
        exact = float(beta.ppf(CONFIDENCE, surplus + 1, self.images - surplus))
        if self._score(exact) <= -NORMAL:  # the score test excludes it, too
            return exact
        return float(brentq(lambda loss: self._score(loss) + NORMAL, exact, 1 - 1e-9))

    def _score(self, loss: float) -> float:
        """Tango's statistic: how many standard errors the observed loss is above this one, from 0 to 1."""
        n, lost, gained = self.images, self.lost, self.gained
        b = (2 * n - lost + gained) * loss - lost - gained
        root = math.sqrt(b * b + 8 * n * gained * loss * (1 - loss))
        gains = (root - b) / (4 * n)  # the most likely share of gains if this were the loss
        return (lost - gained - n * loss) / math.sqrt(n * (2 * gains + loss * (1 - loss)))


def enough_images(loss: float) -> int:
    """How many images exclude a loss of accuracy, a share, if not a single one is lost."""
    return math.ceil(math.log(1 - CONFIDENCE) / math.log(1 - loss))
