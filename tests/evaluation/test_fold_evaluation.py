"""Figures of a cross-validation: intervals of images that come in groups, spread, and what is refused."""

import numpy as np
import pytest

from mstl.data.dataset import ImageSet
from mstl.errors import MstlError
from mstl.evaluation.fold_evaluation import check_groups, evaluate_folds, grouped_interval
from mstl.evaluation.metrics import wilson


def image_set(labels, groups=None, split="train"):
    import dataclasses

    images = ImageSet.from_paths([f"{split}-{index}.jpg" for index in range(len(labels))], labels, ("a", "b"))
    samples = tuple(dataclasses.replace(sample, split=split) for sample in images.samples)
    return dataclasses.replace(images, samples=samples, groups=None if groups is None else tuple(groups))


def features_of(labels, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.asarray(labels)
    return (3 * np.eye(6)[labels] + rng.normal(size=(len(labels), 6))).astype(np.float32)


def test_single_images_have_wilsons_interval():
    right = np.arange(50) % 10 != 0
    assert grouped_interval(right, np.arange(50)) == pytest.approx(wilson(45, 50))
    assert grouped_interval(np.ones(50, bool), np.arange(50)) == pytest.approx(wilson(50, 50))


def test_images_that_are_right_together_count_as_one():
    """Five copies of each image tell no more than one of them."""
    right = np.repeat(np.arange(40) % 10 != 0, 5)
    groups = np.repeat(np.arange(40), 5)
    assert grouped_interval(right, groups) == pytest.approx(wilson(36, 40))
    assert grouped_interval(np.ones(200, bool), groups) == pytest.approx(wilson(40, 40))
    assert grouped_interval(right, np.arange(200)) == pytest.approx(wilson(180, 200))


def test_the_interval_covers_the_truth_as_often_as_it_says():
    """Patients of eight images, who are easy or hard: without groups, the interval would miss it too often."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), 8)
    covered = {True: 0, False: 0}
    for _ in range(400):
        easy = rng.choice([0.98, 0.5], 60, p=[0.75, 0.25])
        right = rng.random(480) < np.repeat(easy, 8)
        for grouped in covered:
            low, high = grouped_interval(right, groups if grouped else np.arange(480))
            covered[grouped] += low <= 0.98 * 0.75 + 0.5 * 0.25 <= high
    assert 0.92 <= covered[True] / 400 <= 0.98 and covered[False] / 400 < 0.85


def test_figures_are_of_all_images():
    labels = np.arange(60) % 2
    train, val = image_set(labels[:40], range(40)), image_set(labels[40:], [0, *range(40, 59)], "val")
    result = evaluate_folds([train, val], features_of(labels), np.eye(2, dtype=np.float32)[labels], 3, seed=0)
    assert result.evaluation.total == 60 and result.evaluation.paths == (*train.paths, *val.paths)
    assert result.splits == ("train",) * 40 + ("val",) * 20
    assert result.folds[0] == result.folds[40], "a version of the same picture"
    right = result.evaluation.logits.argmax(1) == labels
    assert result.by_fold == [
        ((right & (result.folds == each)).sum(), (result.folds == each).sum()) for each in range(3)
    ]
    assert result.spread == pytest.approx(np.std([correct / total for correct, total in result.by_fold], ddof=1))
    figures = result.to_dict()
    assert figures["accuracy"] == right.mean() and figures["groups"] == 59 and figures["interval"][0] < right.mean()
    assert [fold["total"] for fold in figures["folds"]] == np.bincount(result.folds).tolist()
    assert f"{right.mean():.3f}" in result.line() and "n = 60; 3 folds" in result.line()
    again = evaluate_folds([train, val], features_of(labels), np.eye(2, dtype=np.float32)[labels], 3, seed=0)
    assert (again.evaluation.logits == result.evaluation.logits).all()


def test_a_class_that_only_one_group_has_is_counted():
    labels = np.array([0] * 10 + [1] * 3)
    result = evaluate_folds(
        [image_set(labels, [*range(10), 20, 20, 20])], features_of(labels), np.eye(2, dtype=np.float32)[labels], 2, 0
    )
    assert result.unlearnt == 3 and not (result.right[10:]).any()


def test_fewer_groups_than_folds_are_refused():
    sets = [image_set([0, 1, 0], [1, 2, 1]), image_set([1], [3], "val")]
    with pytest.raises(MstlError, match="folds 4: the 4 images are only 3 pictures or groups"):
        check_groups(sets, 4)
    check_groups(sets, 3)


def test_without_groups_the_same_content_is_one(tmp_path):
    paths = [tmp_path / f"{index}.jpg" for index in range(4)]
    for path, content in zip(paths, (b"1", b"2", b"1", b"3"), strict=True):
        path.write_bytes(content)
    images = ImageSet.from_paths(paths, [0, 1, 0, 1], ("a", "b"))
    with pytest.raises(MstlError, match="only 3 pictures"):
        check_groups([images], 4)
