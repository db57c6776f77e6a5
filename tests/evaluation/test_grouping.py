"""Folds: shares of each class, groups that stay together; as even as scikit-learn's."""

import numpy as np
import pytest
from sklearn.model_selection import StratifiedGroupKFold

from mstl.evaluation.grouping import grouped_folds, is_alone


def patients(number, classes, largest, seed):
    """Labels and groups of patients of different sizes, each mostly of one class."""
    rng = np.random.default_rng(seed)
    labels, groups = [], []
    for patient in range(number):
        size, own = int(rng.integers(1, largest + 1)), int(rng.integers(classes))
        labels += [own if rng.random() < 0.8 else int(rng.integers(classes)) for _ in range(size)]
        groups += [1000 - patient] * size
    order = rng.permutation(len(labels))
    return np.array(labels)[order], np.array(groups)[order]


def unevenness(labels, folds, count):
    """The largest difference between a fold's share of a class and a fair one, in shares of the class."""
    table = np.stack([np.bincount(labels[folds == fold], minlength=labels.max() + 1) for fold in range(count)])
    return np.abs(table / table.sum(0) - 1 / count).max()


def test_single_images_are_dealt_evenly():
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1, 3], [52, 11, 2]))
    folds = grouped_folds(labels, None, 5, seed=3)
    for label in (0, 1, 3):
        assert np.ptp(np.bincount(folds[labels == label], minlength=5)) == 1
    assert np.ptp(np.bincount(folds)) <= 1
    assert (folds == grouped_folds(labels, None, 5, seed=3)).all()
    assert (folds != grouped_folds(labels, None, 5, seed=4)).any()


def test_what_the_groups_are_called_makes_no_difference():
    labels, groups = patients(20, 3, 6, 0)
    assert (grouped_folds(labels, groups, 4, 1) == grouped_folds(labels, -7 * groups, 4, 1)).all()


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize(("number", "largest"), [(20, 20), (60, 8), (200, 3)])
def test_groups_stay_together_and_classes_are_as_even_as_with_scikit_learn(seed, number, largest):
    labels, groups = patients(number, 3, largest, seed)
    folds = grouped_folds(labels, groups, 5, seed)
    assert all(len(np.unique(folds[groups == group])) == 1 for group in groups)
    assert set(folds) == set(range(5))
    theirs = np.empty(len(labels), int)
    splits = StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(labels, labels, groups)
    for fold, (_, held_out) in enumerate(splits):
        theirs[held_out] = fold
    assert unevenness(labels, folds, 5) <= unevenness(labels, theirs, 5) + 0.05


def test_fewer_groups_than_folds_and_no_images():
    assert sorted(grouped_folds([0, 0, 1, 1], [5, 5, 9, 9], 3, 0)) in ([0, 0, 1, 1], [0, 0, 2, 2], [1, 1, 2, 2])
    assert grouped_folds(np.zeros(0, int), None, 3, 0).shape == (0,)


def test_a_class_that_only_one_group_has():
    assert is_alone([0, 0, 1, 1, 2], [1, 2, 3, 3, 3]).tolist() == [False, False, True, True, True]
    assert is_alone([0, 0, 2], None).tolist() == [False, False, True]
