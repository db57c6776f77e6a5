"""The order in which images are to be labelled."""

import numpy as np
import pytest

from mstl.evaluation import acquisition
from mstl.evaluation.acquisition import labelling_order
from mstl.evaluation.rejection import normalised


def drawn(seed, clusters=4, size=6, features=8, spread=0.3):
    """(N, F) units in clusters, the cluster of each, and (N, 3) probabilities."""
    rng = np.random.default_rng(seed)
    cluster = np.repeat(np.arange(clusters), size)
    units = normalised(
        rng.normal(0, 1, (clusters, features))[cluster] + rng.normal(0, spread, (len(cluster), features))
    )
    return units, cluster, rng.dirichlet(np.ones(3), len(cluster)).astype(np.float32)


def slowly(units, probabilities, seen, chosen):
    """The same order, by what it is meant to be: each next image is tried out."""

    def worth(labelled):
        total = 0.0
        for unit, answer in zip(units, probabilities, strict=True):
            first, second = sorted(answer, reverse=True)[:2]
            alike = [max(0.0, float(unit @ other)) for other in labelled]
            total += (0.5 + 1 - (first - second)) * max(alike, default=0.0)
        return total

    order, rest = [], list(range(len(units)))
    while rest:
        labelled = [*seen, *(units[index] for index in order[:chosen])]
        gains = {index: worth([*labelled, units[index]]) for index in rest}
        if len(order) >= chosen:
            return order + sorted(rest, key=lambda index: -gains[index])
        order.append(max(rest, key=gains.__getitem__))
        rest.remove(order[-1])
    return order


@pytest.mark.parametrize("number", [0, 3])
@pytest.mark.parametrize("seed", range(3))
def test_the_order_is_that_of_trying_each_image_out(seed, number):
    units, _, probabilities = drawn(seed)
    seen = units[5 : 5 + number]
    order = labelling_order(units, probabilities, seen, chosen=7)
    assert order.tolist() == slowly(units.astype(float), probabilities, seen.astype(float), 7)


def test_the_first_ones_are_of_all_clusters_but_that_which_has_a_label():
    units, cluster, probabilities = drawn(1, clusters=6, size=10, features=30, spread=0.05)
    order = labelling_order(units, probabilities, units[:1])
    assert cluster[0] == 0 and {*cluster[order[:5]]} == {1, 2, 3, 4, 5}
    assert sorted(order) == list(range(60))


def test_what_the_model_is_unsure_of_comes_first():
    units, cluster, _ = drawn(2, clusters=3, size=10, features=30, spread=0.05)
    probabilities = np.where(cluster[:, None] == 2, [[0.5, 0.5]], [[1.0, 0.0]])
    assert cluster[labelling_order(units, probabilities, units[:0])[0]] == 2


def test_of_many_images_a_sample_is_stood_for(monkeypatch):
    units, cluster, probabilities = drawn(3, clusters=5, size=40, features=30, spread=0.05)
    monkeypatch.setattr(acquisition, "VOTERS", 50)
    order = labelling_order(units, probabilities, units[:0])
    assert sorted(order) == list(range(200)) and len({*cluster[order[:5]]}) == 5


def test_few_images_and_a_single_class():
    units, _, probabilities = drawn(4, clusters=1, size=2)
    assert sorted(labelling_order(units, probabilities, units[:0])) == [0, 1]
    assert sorted(labelling_order(units, np.ones((2, 1)), units[:1])) == [0, 1]
    assert labelling_order(units[:0], np.ones((0, 2)), units).tolist() == []
