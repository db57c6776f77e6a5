"""Answers of heads that have not seen the image: against scikit-learn's; nothing of a fold leaks into its head."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from mstl.evaluation import cross_validation
from mstl.evaluation.cross_validation import cross_validate, squared_lengths
from mstl.evaluation.grouping import grouped_folds
from mstl.evaluation.regularisation import DECAYS, choose_weight_decay
from mstl.evaluation.softmax import softmax
from mstl.runtime import blas_threads


@pytest.fixture(autouse=True)
def one_core():
    with blas_threads.suited_to(0):
        yield


def clouds(rows, classes, features=20, seed=0, distance=2.0):
    """Points around a centre for each class, far from the origin and of uneven scale, their labels and targets."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(rows) % classes).astype(np.int32)
    centres = rng.normal(size=(classes, features)) * distance / features**0.5
    points = 3 + (centres[labels] + rng.normal(size=(rows, features))) * np.geomspace(0.1, 2, features)
    return points.astype(np.float32), labels, np.eye(classes, dtype=np.float32)[labels]


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("together", [True, False])
def test_answers_are_those_of_scikit_learn_without_the_fold(classes, together, monkeypatch):
    if not together:
        monkeypatch.setattr(cross_validation, "MOST_TOGETHER", 0)
    points, labels, targets = clouds(90, classes)
    groups = np.repeat(np.arange(45), 2)
    found = cross_validate(points, labels, targets, groups, 4, seed=3, weight_decay=0.01)
    assert (found.folds == grouped_folds(labels, groups, 4, 3)).all() and (found.weight_decays == 0.01).all()
    expected, plain = np.zeros((90, classes)), points.astype(np.float64)
    rows = 2 if classes == 2 else 1  # scikit-learn has a single row for two classes, which is penalised once
    for fold in range(4):
        inside = found.folds != fold
        model = LogisticRegression(C=rows / (0.01 * inside.sum()), solver="newton-cg", tol=1e-8, max_iter=1000)
        expected[~inside] = model.fit(plain[inside], labels[inside]).predict_proba(plain[~inside])
    np.testing.assert_allclose(softmax(found.logits), expected, atol=0.01)


def test_weight_decays_are_those_that_the_other_folds_alone_would_choose():
    points, labels, targets = clouds(120, 3, distance=1.0)
    found = cross_validate(points, labels, targets, np.arange(120), 3, seed=1)
    assert len(set(np.round(np.log10(found.weight_decays), 2))) > 1, "else this tells nothing"
    for fold in range(3):
        inside = found.folds != fold
        alone = choose_weight_decay([points[inside]], labels[inside], targets[inside], range(inside.sum()), 1)
        assert found.weight_decays[fold] == pytest.approx(alone.weight_decay, rel=1e-4)


def test_of_large_data_fewer_weight_decays_are_tried_on_a_single_fold(monkeypatch):
    points, labels, targets = clouds(100, 3)
    monkeypatch.setattr(cross_validation, "MOST_TOGETHER", 0)
    found = cross_validate(points, labels, targets, np.arange(100), 5, seed=1)
    relative = found.weight_decays / squared_lengths(points, found.folds)
    assert all(np.isclose(each, DECAYS[::2]).any() for each in relative)
    assert (found.logits.argmax(1) == labels).mean() > 0.6


@pytest.mark.parametrize("changed", ["labels", "features"])
def test_nothing_of_a_fold_takes_part_in_its_head(changed):
    """The labels, or the features, of a fold are changed: its head answers about any image as before."""
    points, labels, targets = clouds(80, 2, distance=1.0)
    points = np.vstack([points, points[:8] + 0.1])  # images to ask about, which nothing is learnt from
    labels, targets = np.append(labels, labels[:8]), np.vstack([targets, 0 * targets[:8]])
    groups = np.arange(88)
    before = cross_validate(points, labels, targets, groups, 4, seed=0)
    outside = before.folds == 0
    asked = np.flatnonzero(outside & (np.arange(88) >= 80))
    assert len(asked)
    points, targets = points.copy(), targets.copy()
    there = outside & (np.arange(88) < 80)
    if changed == "labels":
        targets[there] = targets[there][:, ::-1]
    else:
        points[there] *= -5
    after = cross_validate(points, labels, targets, groups, 4, seed=0)
    assert (after.folds == before.folds).all() and after.weight_decays[0] == pytest.approx(before.weight_decays[0])
    np.testing.assert_allclose(softmax(after.logits[asked]), softmax(before.logits[asked]), atol=0.01)
    others = np.flatnonzero(~outside)
    assert np.abs(softmax(after.logits[others]) - softmax(before.logits[others])).max() > 0.02


@pytest.mark.parametrize("seed", range(5))
def test_planted_copies_are_held_out_together(seed):
    """With the copies in one fold, a label that only they have is not learnt from each other."""
    rng = np.random.default_rng(seed)
    points, labels, _ = clouds(100, 2, seed=seed)
    twins = rng.choice(100, 20, replace=False)
    points = np.vstack([points, points[twins]])
    labels = np.append(labels, labels[twins])
    groups = np.append(np.arange(100), twins)
    found = cross_validate(points, labels, np.eye(2, dtype=np.float32)[labels], groups, 5, seed)
    assert (found.folds[100:] == found.folds[twins]).all()
    np.testing.assert_allclose(found.logits[100:], found.logits[twins], atol=1e-3)


def test_a_class_of_one_image_and_fewest_images():
    points, labels, _ = clouds(20, 2)
    labels[0] = 2
    found = cross_validate(points, labels, np.eye(3, dtype=np.float32)[labels], np.arange(20), 4, 0)
    assert np.isfinite(found.logits).all() and found.logits[0].argmax() != 2
    few = cross_validate(points[:4], labels[:4], np.eye(3, dtype=np.float32)[labels[:4]], np.arange(4), 4, 0)
    assert np.isfinite(few.logits).all() and (few.weight_decays > 0).all()


def test_squared_lengths():
    points, _, _ = clouds(30, 3)
    fold = np.arange(30) % 4
    expected = [((points[fold != each] - points[fold != each].mean(0)) ** 2).sum(1).mean() for each in range(4)]
    np.testing.assert_allclose(squared_lengths(points, fold), expected, rtol=1e-5)
