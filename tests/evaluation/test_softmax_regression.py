"""Softmax regression and its weight decay: against scikit-learn, and against all weight decays tried one by one."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from mstl.evaluation import regularisation, softmax_regression
from mstl.evaluation.regularisation import DECAYS, choose_weight_decay, folds, is_worse
from mstl.evaluation.softmax_regression import SoftmaxRegression
from mstl.runtime import blas_threads


@pytest.fixture(autouse=True)
def one_core():
    with blas_threads.suited_to(0):
        yield


def clouds(rows, classes, features=20, seed=0, distance=1.5):
    """Points around a centre for each class, far from the origin and of uneven scale, and their labels."""
    rng = np.random.default_rng(seed)
    labels = np.arange(rows) % classes
    centres = rng.normal(size=(classes, features)) * distance / features**0.5
    points = 3 + (centres[labels] + rng.normal(size=(rows, features))) * np.geomspace(0.1, 2, features)
    return points.astype(np.float64), labels.astype(np.int32)


def by_sklearn(points, labels, decay):
    """The head of the same objective: scikit-learn weighs the sum of the losses, here the mean is meant."""
    model = LogisticRegression(C=1 / (decay * len(labels)), solver="newton-cg", tol=1e-8, max_iter=1000)
    return model.fit(points, labels)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("classes", "decay"), [(3, 0.1), (3, 0.001), (5, 0.01)])
def test_the_minimum_is_that_of_scikit_learn(classes, decay, dtype):
    points, labels = clouds(90, classes)
    targets = np.eye(classes, dtype=np.float32)[labels]
    problem = SoftmaxRegression([points.astype(dtype)], targets[None])
    solution = problem.solve(decay / problem.scale**2)
    weight, bias = problem.head(solution)
    expected = by_sklearn(points, labels, decay)
    np.testing.assert_allclose(weight, expected.coef_, atol=0.05 if dtype is np.float32 else 1e-3)
    probabilities = expected.predict_proba(points)
    logits = points @ weight.T + bias
    found = np.exp(logits - logits.max(1, keepdims=True))
    np.testing.assert_allclose(
        found / found.sum(1, keepdims=True), probabilities, atol=0.01 if dtype is np.float32 else 1e-4
    )
    loss = -np.log(probabilities[np.arange(90), labels]).mean()
    assert problem.losses(solution)[0] == pytest.approx(loss, abs=1e-3)


def test_views_weights_and_soft_targets_are_rows_of_their_own():
    """Two views are twice the rows; a weight of 2 is a row twice; a soft target is a row of each class in its share."""
    points, labels = clouds(40, 2)
    moved = points + np.random.default_rng(5).normal(size=points.shape) * 0.3
    weights = np.where(labels == 1, 2.0, 1.0)
    targets = (np.eye(2)[labels] * 0.8 + 0.1) * weights[:, None]
    problem = SoftmaxRegression([points, moved], targets[None].astype(np.float32))
    weight, bias = problem.head(problem.solve(0.02 / problem.scale**2))
    rows = np.concatenate([points, moved])
    every, shares = np.concatenate([rows, rows]), np.concatenate([targets[:, 0]] * 2 + [targets[:, 1]] * 2)
    # of two classes, scikit-learn has one row of weights, the difference, whose penalty counts half
    half = LogisticRegression(C=2 / (0.02 * len(rows)), solver="newton-cg", tol=1e-8, max_iter=1000)
    half.fit(every, np.repeat([0, 1], len(rows)), shares)
    np.testing.assert_allclose(weight[1] - weight[0], half.coef_[0], atol=2e-3)
    assert bias[1] - bias[0] == pytest.approx(half.intercept_[0], abs=0.01)


def test_problems_solved_together_are_those_solved_alone():
    points, labels = clouds(60, 3)
    targets = np.eye(3, dtype=np.float32)[labels]
    parts = np.stack([targets * (np.arange(60) % 4 != number)[:, None] for number in range(4)])
    together = SoftmaxRegression([points], parts)
    logits = together.logits(together.solve(0.001), points).transpose(2, 0, 1)
    for number in range(4):
        kept = np.arange(60) % 4 != number
        alone = by_sklearn(points[kept], labels[kept], 0.001 * together.scale**2)
        expected = alone.decision_function(points)
        found = logits[:, number] - logits[:, number].mean(1, keepdims=True)
        np.testing.assert_allclose(found, expected - expected.mean(1, keepdims=True), atol=0.02)


def test_problems_may_have_weight_decays_of_their_own():
    for classes in (2, 3):
        points, labels = clouds(60, classes)
        targets = np.eye(classes, dtype=np.float32)[labels]
        both = SoftmaxRegression([points], np.stack([targets, targets]))
        weights = both.head(both.solve(np.array([0.1, 0.003]) / both.scale**2))[0].reshape(2, classes, -1)
        for decay, weight in zip((0.1, 0.003), weights, strict=True):
            alone = SoftmaxRegression([points], targets[None])
            np.testing.assert_allclose(weight, alone.head(alone.solve(decay / alone.scale**2))[0], atol=1e-3)


@pytest.mark.parametrize("distance", [0.6, 4.0])
def test_the_weight_decay_is_that_of_brute_force(distance):
    """Each is tried on each fold by scikit-learn: the strongest that is no worse than the best by more than chance."""
    points, labels = clouds(100, 3, features=10, seed=2, distance=distance)
    targets = np.eye(3, dtype=np.float32)[labels]
    found = choose_weight_decay([points], labels, targets, range(100), seed=4)
    scale = SoftmaxRegression([points], targets[None]).scale
    assert found.folds == 5
    fold = folds(labels, range(100), 5, seed=4)
    losses = np.zeros((len(DECAYS), 100))
    for index, decay in enumerate(DECAYS):
        for number in range(5):
            model = by_sklearn(points[fold != number], labels[fold != number], decay * scale**2)
            held_out = np.flatnonzero(fold == number)
            own = labels[held_out]
            losses[index, held_out] = -model.predict_log_proba(points[held_out])[np.arange(len(own)), own]
    best = losses[losses.mean(1).argmin()]
    excess = losses - best
    chosen = next(i for i, row in enumerate(excess) if row.mean() <= row.std(ddof=1) / 10)
    assert found.weight_decay == pytest.approx(DECAYS[chosen] * scale**2)
    for trial, row in zip(found.trials, losses, strict=False):
        assert trial.loss == pytest.approx(row.mean(), abs=0.005)


def test_folds_keep_versions_together_and_classes_apart():
    labels = np.repeat([0, 1, 2], [20, 10, 1]).astype(np.int32)
    groups = [*range(20), *[20] * 4, *range(21, 27), 40]
    fold = folds(labels, groups, 5, seed=1)
    assert [np.bincount(fold[labels == 0], minlength=5).tolist()] == [[4, 4, 4, 4, 4]]
    assert len(set(fold[20:24])) == 1 and set(fold[20:30]) == {0, 1, 2, 3, 4}
    assert fold[30] == -1  # the only picture of its class is never held out
    assert not np.array_equal(fold, folds(labels, groups, 5, seed=2))


def test_few_pictures():
    points, labels = clouds(2, 2)
    targets = np.eye(2, dtype=np.float32)[labels]
    found = choose_weight_decay([points], labels, targets, range(2), seed=1)
    assert found.folds == 0 and found.trials == () and found.weight_decay > 0
    points, labels = clouds(4, 2)
    found = choose_weight_decay([points], labels, np.eye(2, dtype=np.float32)[labels], range(4), seed=1)
    assert found.folds == 4 and len(found.trials) > 2


def test_of_large_data_a_single_fold_is_held_out(monkeypatch):
    points, labels = clouds(100, 3, features=10, seed=2)
    targets = np.eye(3, dtype=np.float32)[labels]
    small = choose_weight_decay([points], labels, targets, range(100), seed=4)
    monkeypatch.setattr(regularisation, "MOST_PRODUCTS", 5 * 2 * 1000 * 3 - 1)
    large = choose_weight_decay([points], labels, targets, range(100), seed=4)
    assert (small.folds, large.folds) == (5, 1)
    tried = [trial.weight_decay for trial in large.trials]
    assert len(tried) > 2 and np.divide(tried[:-1], tried[1:]) == pytest.approx(10)
    assert tried[0] == small.trials[0].weight_decay
    held_out = np.flatnonzero(folds(labels, range(100), 5, seed=4) == 0)
    kept = np.setdiff1d(np.arange(100), held_out)
    model = by_sklearn(points[kept], labels[kept], tried[1])
    losses = -model.predict_log_proba(points[held_out])[np.arange(len(held_out)), labels[held_out]]
    assert large.trials[1].loss == pytest.approx(losses.mean(), abs=0.005)


def test_worse_by_more_than_chance():
    best = np.zeros(4)
    assert is_worse(np.ones(4), best)
    assert not is_worse(np.array([9.0, -8, 9, -8]), best)
    assert not is_worse(best, best)


def test_many_rows_are_taken_in_blocks_from_a_memory_map(tmp_path, monkeypatch):
    """The same numbers, though neither all features nor all answers are in memory at a time."""
    points, labels = clouds(90, 3)
    targets = np.eye(3, dtype=np.float32)[labels]
    mapped = np.memmap(tmp_path / "rows", points.dtype, "w+", shape=points.shape)
    mapped[...] = points
    at_once = choose_weight_decay([points], labels, targets, range(90), 1)
    whole = SoftmaxRegression([points], targets[None])
    monkeypatch.setattr(softmax_regression, "BLOCK", 150)  # of 7 or 10 rows
    losses = [trial.loss for trial in at_once.trials]
    in_blocks = choose_weight_decay([mapped], labels, targets, range(90), 1)
    parts = SoftmaxRegression([mapped], targets[None])
    assert in_blocks.weight_decay == pytest.approx(at_once.weight_decay)
    assert [trial.loss for trial in in_blocks.trials] == pytest.approx(losses, rel=1e-3)
    np.testing.assert_allclose(parts.head(parts.solve(0.01))[0], whole.head(whole.solve(0.01))[0], atol=1e-4)


def test_the_search_of_all_rows_starts_at_the_mean_of_the_folds(monkeypatch):
    """The minimum is the same, and is found in fewer steps."""
    points, labels = clouds(100, 2)
    targets = np.eye(2, dtype=np.float32)[labels]
    choice = choose_weight_decay([points], labels, targets, range(100), seed=1)
    problem = SoftmaxRegression([points], targets[None])
    calls = []
    objective = problem._objective
    monkeypatch.setattr(problem, "_objective", lambda *args: calls.append(1) or objective(*args))
    decay = choice.weight_decay / problem.scale**2
    near, fewer = problem.solve(decay, choice.start), len(calls)
    far = problem.solve(decay)
    assert fewer < 0.8 * (len(calls) - fewer)
    np.testing.assert_allclose(problem.head(near)[0], problem.head(far)[0], atol=1e-3)


def test_of_two_classes_one_row_is_searched_for_and_the_other_is_its_opposite():
    points, labels = clouds(60, 2)
    problem = SoftmaxRegression([points], np.stack([np.eye(2, dtype=np.float32)[labels]] * 3))
    solution = problem.solve(0.01)
    weight, bias = problem.head(solution)
    assert solution.shape == (3, 21) and weight.shape == (6, 20) and bias.shape == (6,)
    np.testing.assert_array_equal(weight[::2], -weight[1::2])
    np.testing.assert_array_equal(bias[::2], -bias[1::2])
