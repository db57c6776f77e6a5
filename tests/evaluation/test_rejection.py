"""When not to be trusted: clusters whose answer is known, and slow versions with loops."""

import json
import math
import warnings

import numpy as np
import pytest
from scipy.special import softmax

from mstl.errors import MstlError
from mstl.evaluation.calibration import fit_temperature
from mstl.evaluation.metrics import Evaluation
from mstl.evaluation.rejection import Rejector, fit_rejector

WIDTH = 24


def directions(count):
    return 3 * np.eye(WIDTH, dtype=np.float32)[:count]


def photos(centres, each, seed, noise=0.2):
    """``each`` features around each centre, their labels, and logits that say which centre is nearest."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(centres)), each)
    features = (centres[labels] + noise * rng.normal(size=(len(labels), WIDTH))).astype(np.float32)
    return features * rng.uniform(0.5, 2, (len(labels), 1)).astype(np.float32), labels.astype(np.int32)


def evaluation_of(features, labels, classes, logits=None):
    logits = features[:, :classes] if logits is None else logits
    names = tuple(map(str, range(classes)))
    return Evaluation(np.asarray(logits, np.float32), labels, names, tuple(map(str, labels)), features)


def known(each=50, classes=3, seed=0):
    features, labels = photos(directions(classes), each, seed)
    return evaluation_of(features, labels, classes)


@pytest.mark.parametrize(("classes", "each"), [(2, 60), (3, 50), (12, 20)])
def test_keeps_the_known_and_turns_the_unknown_away(classes, each):
    rejector = fit_rejector(known(each, classes))
    fresh, _ = photos(directions(classes), 200, seed=1)
    assert 0.9 <= 1 - rejector.rejected(fresh[:, :classes], fresh).mean() <= 0.99
    strange, _ = photos(directions(WIDTH)[classes:], 20, seed=2)
    logits = np.eye(classes, dtype=np.float32)[np.zeros(len(strange), int)] * 50  # as sure as can be
    assert rejector.rejected(logits, strange).all()


def slow_distance(feature, bank, count, without=None):
    """Mean Euclidean distance to the nearest few of the bank, all scaled to length 1."""
    unit = [value / math.sqrt(sum(v * v for v in feature)) for value in feature]
    far = []
    for index, other in enumerate(bank):
        if index != without:
            length = math.sqrt(sum(v * v for v in other))
            far.append(math.sqrt(sum((a - b / length) ** 2 for a, b in zip(unit, other, strict=True))))
    return sum(sorted(far)[:count]) / count


def test_distances_equal_the_slow_version():
    evaluation = known(each=6)
    rejector = fit_rejector(evaluation)
    fresh, _ = photos(directions(4), 3, seed=1)
    slow = [slow_distance(row, evaluation.features.tolist(), 3) for row in fresh.tolist()]
    assert rejector.distances(fresh) == pytest.approx(slow, abs=1e-3)  # the bank is float16


@pytest.mark.parametrize("each", [3, 15, 50])
def test_limits_equal_the_slow_version(each):
    """Three classes: 9 and 45 photos are too few for a limit of the probability, of 150 the third lowest is it."""
    evaluation = known(each)
    rejector = fit_rejector(evaluation)
    features = evaluation.features.tolist()
    assert rejector.neighbours == 3
    assert rejector.temperature == fit_temperature(evaluation.logits, evaluation.labels)
    confidences = softmax(evaluation.logits / rejector.temperature, axis=1).max(axis=1)
    assert rejector.probability_limit == (np.sort(confidences)[2] if each == 50 else 0)

    distances = np.array([slow_distance(row, features, 3, without=index) for index, row in enumerate(features)])
    sure = confidences >= rejector.probability_limit
    kept = sure & (distances <= rejector.distance_limit + 1e-3)
    assert math.floor(0.95 * len(kept)) <= kept.sum() <= math.ceil(0.95 * len(kept)) + 1
    place = (sure.sum() - 1) * 0.95 / sure.mean()  # of the limit among the sure, in order, as a quantile counts
    below, above = np.sort(distances[sure])[[math.floor(place), math.ceil(place)]]
    assert rejector.distance_limit == pytest.approx(below + (above - below) * (place % 1), abs=1e-3)


def test_the_unsure_are_turned_away():
    """Of 101 photos, floor(0.02 * 102) = 2: what is less probable than the second least sure is turned away."""
    rng = np.random.default_rng(0)
    labels = (np.arange(101) % 2).astype(np.int32)
    features, _ = photos(directions(1), 101, seed=0)
    logits = np.eye(2)[labels] * np.linspace(2, 6, 101)[:, None]
    wrong = rng.choice(101, 5, replace=False)
    labels[wrong] = 1 - labels[wrong]
    rejector = fit_rejector(evaluation_of(features, labels, 2, logits))
    gap = float(np.float32(2.04))
    assert rejector.probability_limit == pytest.approx(1 / (1 + math.exp(-gap / rejector.temperature)))
    near = np.repeat(directions(1), 3, axis=0)
    assert rejector.rejected(np.array([[2.03, 0], [0, 2.05], [0, 9]], np.float32), near).tolist() == [
        True,
        False,
        False,
    ]


def test_49_photos_are_enough_for_a_limit_of_the_probability():
    features, labels = photos(directions(2), 25, seed=0)
    assert fit_rejector(evaluation_of(features[:48], labels[:48], 2)).probability_limit == 0
    evaluation = evaluation_of(features[:49], labels[:49], 2)
    rejector = fit_rejector(evaluation)
    assert rejector.probability_limit == evaluation.calibrated(rejector.temperature).confidences.min()


def test_nothing_that_is_not_a_number_is_trusted():
    rejector = fit_rejector(known())
    features, logits = directions(3).copy(), directions(3)[:, :3].copy()
    assert not rejector.rejected(logits, features).any()
    features[0, 5], logits[1, 0] = np.nan, np.nan
    assert rejector.rejected(logits, features).tolist() == [True, True, False]


def test_a_photo_without_any_feature_is_unknown():
    rejector = fit_rejector(known())
    assert rejector.distances(np.zeros((1, WIDTH))) == pytest.approx(math.sqrt(2))
    assert rejector.rejected(np.array([[9.0, 0, 0]]), np.zeros((1, WIDTH))).tolist() == [True]


@pytest.mark.parametrize(
    ("labels", "classes"),
    [([0], 2), ([0, 1], 2), ([0, 0, 0, 1, 1, 1], 2), ([0, 0, 0, 2, 2, 2], 3), (range(1000), 1000)],
)
def test_few_photos(labels, classes):
    labels = np.array(labels, np.int32)
    rng = np.random.default_rng(0)
    features = (directions(WIDTH)[labels % WIDTH] + 0.1 * rng.normal(size=(len(labels), WIDTH))).astype(np.float32)
    logits = np.eye(classes, dtype=np.float32)[labels] * 3
    with warnings.catch_warnings(), np.errstate(all="raise", under="ignore"):
        warnings.simplefilter("error")
        rejector = fit_rejector(evaluation_of(features, labels, classes, logits))
        rejected = rejector.rejected(logits, features)
    assert rejector.neighbours == max(1, min(3, len(labels) - 1))
    assert rejected.mean() <= 0.05
    assert len(labels) > 1 or rejector.distance_limit == 2  # one photo alone says nothing about distances


def test_bank_is_even_small_and_the_same_each_time():
    labels = np.repeat(np.array([0, 1, 3], np.int32), [2000, 300, 50])
    features = np.random.default_rng(0).normal(size=(len(labels), 4)).astype(np.float32)
    features = np.hstack([features, labels[:, None] * 1000 + 1]).astype(np.float32)  # the label can be read from it
    evaluation = evaluation_of(features, labels, 4)
    rejector = fit_rejector(evaluation)
    assert rejector.bank.shape == (1000, 5) and rejector.bank.dtype == np.float16
    assert np.linalg.norm(rejector.bank.astype(np.float32), axis=1) == pytest.approx(1, abs=1e-3)
    units = (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float16)
    of = {row.tobytes(): label for row, label in zip(units, labels, strict=True)}
    found = [of[row.tobytes()] for row in rejector.bank]
    assert [found.count(label) for label in (0, 1, 3)] == [650, 300, 50]
    again = fit_rejector(evaluation)
    assert again.bank.tobytes() == rejector.bank.tobytes() and again.to_record() == rejector.to_record()


def test_photos_outside_the_bank_count_for_the_limit():
    """1,000 of 1,200 photos are in the bank; the other 200, told by their label, are far from it."""
    features, _ = photos(directions(1), 1200, seed=0, noise=0.01)
    inside = fit_rejector(evaluation_of(features, np.zeros(1200, np.int32), 2)).bank
    units = (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float16)
    kept = {row.tobytes() for row in inside}
    left_out = np.array([row.tobytes() not in kept for row in units])
    features[left_out] = directions(2)[1]
    rejector = fit_rejector(evaluation_of(features, np.zeros(1200, np.int32), 2))
    assert left_out.sum() == 200
    assert rejector.distance_limit == pytest.approx(math.sqrt(2), abs=0.01)


def test_record_and_arrays_bring_it_back():
    rejector = fit_rejector(known())
    record = json.loads(json.dumps(rejector.to_record(), allow_nan=False))
    again = Rejector.from_record(record, {**rejector.arrays(), "fc.weight": np.zeros(3)})
    assert again.to_record() == rejector.to_record()
    assert again.bank.dtype == np.float16
    fresh, _ = photos(directions(4), 25, seed=1)
    assert again.distances(fresh).tolist() == rejector.distances(fresh).tolist()
    assert again.rejected(fresh[:, :3], fresh).tolist() == rejector.rejected(fresh[:, :3], fresh).tolist()


def test_without_features_it_says_so():
    evaluation = known()
    bare = Evaluation(evaluation.logits, evaluation.labels, evaluation.classes, evaluation.paths)
    with pytest.raises(ValueError, match="no features"):
        fit_rejector(bare)


@pytest.mark.parametrize("broken", ["logits", "features"])
def test_what_diverged_cannot_be_trusted(broken):
    evaluation = known()
    getattr(evaluation, broken)[2, 1] = np.inf
    with pytest.raises(MstlError, match="diverged"):
        fit_rejector(evaluation)


def test_distances_are_computed_in_parts(monkeypatch):
    """Of few samples at a time, with the same limits."""
    rng = np.random.default_rng(3)
    labels = (np.arange(90) % 3).astype(np.int32)
    features = (np.eye(8)[labels] + 0.3 * rng.normal(size=(90, 8))).astype(np.float32)
    logits = (4 * np.eye(3)[labels] + rng.normal(size=(90, 3))).astype(np.float32)
    evaluation = Evaluation(logits, labels, ("a", "b", "c"), tuple(map(str, range(90))), features)
    whole = fit_rejector(evaluation, 40)
    monkeypatch.setattr("mstl.evaluation.rejection.ROWS_AT_A_TIME", 7)
    parts = fit_rejector(evaluation, 40)
    assert parts.distance_limit == pytest.approx(whole.distance_limit, abs=1e-6)
