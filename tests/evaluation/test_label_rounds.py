"""What is learnt from labels that were given by hand."""

import numpy as np
import pytest

from mstl.evaluation.label_rounds import DECAY, learn
from mstl.evaluation.rejection import normalised
from mstl.evaluation.softmax_regression import SoftmaxRegression


def drawn(count, seed=0, classes=3, features=12, spread=0.5):
    """(N, F) units around a centre for each class, and labels."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    centres = np.random.default_rng(9).normal(0, 1, (classes, features))
    return normalised(centres[labels] + rng.normal(0, spread, (count, features))), labels


def test_no_image_confirms_its_own_label_nor_that_of_a_version():
    units, labels = drawn(40)
    wrong = labels.copy()
    wrong[[4, 31]] = (labels[[4, 31]] + 1) % 3
    units[31] = units[4]
    groups = np.arange(40)
    groups[31] = 4
    learnt = learn(units, wrong, groups, units[:0], labels[:0])
    assert learnt.answers[[4, 31]].tolist() == labels[[4, 31]].tolist()
    assert (learnt.answers == labels).mean() > 0.8
    alone = learn(units, wrong, np.arange(40), units[:0], labels[:0])
    assert alone.answers[4] == wrong[4], "here its copy tells"


def test_the_head_of_all_is_the_solution_for_all():
    units, labels = drawn(30)
    examples, example_labels = drawn(20, seed=1)
    learnt = learn(units, labels, np.arange(30), examples, example_labels)
    every = np.concatenate([examples, units])
    targets = np.eye(3, dtype=np.float32)[np.concatenate([example_labels, labels])]
    problem = SoftmaxRegression([every.astype(np.float64)], targets[None])
    logits = problem.logits(problem.solve(DECAY), units)[0].T
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert learnt.head.probabilities(units, 3) == pytest.approx(expected, abs=0.01)


def test_classes_that_nobody_has_shown_have_no_chance():
    units, labels = drawn(12, classes=2)
    learnt = learn(units, 3 * labels, np.arange(12), units[:0], labels[:0])
    assert learnt.head.classes.tolist() == [0, 3] and {*learnt.answers} <= {0, 3}
    answers = learnt.head.probabilities(units, 5)
    assert (answers[:, [1, 2, 4]] == 0).all() and answers.sum(1) == pytest.approx(np.ones(12))


def test_examples_count_as_well():
    """Of one image of each class nobody learns its own class; from examples they do."""
    units, labels = drawn(3)
    examples, example_labels = drawn(30, seed=1)
    assert (learn(units, labels, np.arange(3), examples, example_labels).answers == labels).all()
    assert (learn(units, labels, np.arange(3), units[:0], labels[:0]).answers != labels).all()


def test_from_one_class_or_one_picture_nothing_is_learnt():
    units, labels = drawn(6)
    none = units[:0], labels[:0]
    assert learn(units, np.zeros(6, int), np.arange(6), *none) is None
    assert learn(units, labels, np.zeros(6, int), *none) is None
    assert learn(*none, np.arange(0), units, labels) is None
