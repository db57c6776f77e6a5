"""Weights and draws for classes of unequal size, against numbers by hand."""

import numpy as np
import pytest

from mstl.data.loading.sampler import balanced_order, class_weights


def test_class_weights_by_hand():
    weights = class_weights(np.array([0, 0, 0, 2]), 4)
    assert weights.dtype == np.float32
    assert weights.tolist() == pytest.approx([4 / (4 * 3), 0, 4 / (4 * 1), 0])


def test_class_weights_of_equal_classes_are_one_and_their_mean_over_photos_is_one():
    assert class_weights(np.array([1, 0, 1, 0]), 2).tolist() == [1, 1]
    labels = np.repeat([0, 1, 2], [50, 7, 3])
    assert class_weights(labels, 3)[labels].mean() == pytest.approx(1)


def test_balanced_order_draws_classes_alike_and_photos_of_a_class_alike():
    labels = np.repeat([0, 2, 3], [900, 90, 10])  # no photo of class 1
    drawn = np.concatenate([balanced_order(labels, np.random.default_rng(seed)) for seed in range(30)])
    shares = np.bincount(labels[drawn]) / len(drawn)
    assert shares == pytest.approx([1 / 3, 0, 1 / 3, 1 / 3], abs=0.015)
    rare = np.bincount(drawn[labels[drawn] == 3] - 990, minlength=10)
    assert rare == pytest.approx(1000, rel=0.15)


def test_balanced_order_is_as_long_as_the_set_and_repeats():
    labels = np.repeat([0, 1], [5, 1])
    first = balanced_order(labels, np.random.default_rng(3))
    assert len(first) == 6
    assert np.array_equal(first, balanced_order(labels, np.random.default_rng(3)))
