"""Images far from their own class: worked out slowly, planted ones, and none where nothing is unusual."""

import numpy as np
import pytest

from mstl.evaluation.class_outliers import class_outliers


def drawn(counts, spread=0.3, size=16, seed=0):
    """Features around a direction for each class, and labels."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(len(counts), size))
    labels = np.repeat(np.arange(len(counts)), counts)
    return (centres[labels] + rng.normal(size=(len(labels), size)) * spread).astype(np.float32), labels


def slowly(features, labels):
    """{index: (distance, median)} by the definition, image by image."""
    units = [row / np.linalg.norm(row) for row in features.astype(float)]
    found = {}
    for label in set(labels.tolist()):
        members = [n for n in range(len(labels)) if labels[n] == label]
        near = {
            n: sum(sorted(float(np.linalg.norm(units[n] - units[m])) for m in members if m != n)[:3]) / 3
            for n in members
        }
        first, median, third = np.percentile(list(near.values()), (25, 50, 75))
        found |= {n: (near[n], median) for n in members if near[n] > third + 1.5 * (third - first)}
    return found


def test_as_worked_out_slowly():
    features, labels = drawn((40, 60, 25), spread=0.6)
    features[[3, 50]] = np.random.default_rng(1).normal(size=(2, 16)) * 20
    wanted = slowly(features, labels)
    found = class_outliers(features, labels)
    assert {each.index for each in found} == wanted.keys() >= {3, 50}
    for each in found:
        assert (each.distance, each.usual) == pytest.approx(wanted[each.index], abs=1e-4)
    excess = [each.distance - each.usual for each in found]
    assert excess == sorted(excess, reverse=True)


def test_planted_images_come_first():
    """Of another class without a label of its own, however long their features are."""
    features, labels = drawn((80, 80, 5), seed=2)
    labels[-5:] = [0, 1, 0, 1, 0]
    features[-5:] *= 7
    alone = features.copy()
    alone[-5:] = np.random.default_rng(3).normal(size=(5, 16))
    assert {each.index for each in class_outliers(alone, labels)[:5]} == {160, 161, 162, 163, 164}


def test_of_few_images_nothing_is_said():
    features, labels = drawn((9, 9))
    features[0] = -features[0]
    assert class_outliers(features, labels) == []
    assert class_outliers(np.ones((30, 4), np.float32), np.zeros(30, int)) == [], "all the same"


def test_in_parts():
    """As many images as several blocks of the table of distances."""
    features, labels = drawn((2300,), spread=0.5, seed=5)
    features[[7, 1500, 2299]] = -10 * features[[7, 1500, 2299]]
    assert {each.index for each in class_outliers(features, labels)[:3]} == {7, 1500, 2299}
