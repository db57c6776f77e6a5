"""How much accuracy a changed model may have lost: a bound that holds for few images, too."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import multinomial, norm

from mstl.evaluation.paired_loss import PairedLoss, enough_images


def most(images, lost, gained):
    return PairedLoss(images, images, images, lost, gained).most


def test_it_counts_images():
    before, after = np.array([[1, 1, 1, 0, 0], [1, 0, 0, 1, 0]], bool)
    assert PairedLoss.of(before, after) == PairedLoss(5, 3, 2, lost=2, gained=1)


@pytest.mark.parametrize("images", [1, 20, 153, 299, 5000])
def test_without_any_difference_it_is_exact(images):
    """A loss of this size would show no difference in 5 % of all cases."""
    assert (1 - most(images, 0, 0)) ** images == pytest.approx(0.05)
    assert most(images, 0, 3) >= most(images, 0, 0)  # gains do not make it smaller
    assert most(images, images, 0) == 1


def test_how_many_images_it_takes():
    assert enough_images(0.01) == 299 and most(299, 0, 0) < 0.01 < most(298, 0, 0)


@pytest.mark.parametrize(("images", "lost", "gained"), [(153, 9, 4), (400, 30, 31), (1000, 12, 2), (60, 30, 10)])
def test_it_is_the_bound_of_the_score_test(images, lost, gained):
    """With the gains that are most likely if this is the true loss, what was seen is 1.645 standard errors less."""
    loss = most(images, lost, gained)

    def unlikely(gains):
        return -(lost * np.log(gains + loss) + gained * np.log(gains) + rest * np.log(1 - 2 * gains - loss))

    rest = images - lost - gained
    bounds = (1e-12, (1 - loss) / 2 - 1e-12)
    gains = minimize_scalar(unlikely, bounds=bounds, method="bounded", options={"xatol": 1e-13}).x
    error = np.sqrt((2 * gains + loss - loss**2) / images)
    assert ((lost - gained) / images - loss) / error == pytest.approx(norm.ppf(0.05), abs=1e-3)


@pytest.mark.parametrize(("images", "gains"), [(299, 0), (323, 0.02), (600, 0.005)])
def test_it_rarely_excludes_a_true_loss(images, gains):
    """All that can come of a true loss of exactly 1 %, added up."""
    shares = [gains + 0.01, gains, 1 - 2 * gains - 0.01]
    counts = [(lost, gained) for gained in range(30 if gains else 1) for lost in range(40)]
    excluded = [(lost, gained) for lost, gained in counts if lost <= gained + 8 and most(images, lost, gained) < 0.01]
    total = sum(multinomial.pmf([lost, gained, images - lost - gained], images, shares) for lost, gained in excluded)
    assert 0.001 < total < 0.0535
