"""Calibration against slow versions with loops, and against what can be worked out by hand."""

import math
import warnings

import numpy as np
import pytest
from scipy.special import softmax

from mstl.evaluation.calibration import cautious_temperature, fit_temperature, reliability


def simulated(photos, classes, scale, seed):
    """Logits that are ``scale`` times as large as they should be, and labels drawn from what they should be."""
    rng = np.random.default_rng(seed)
    honest = rng.normal(size=(photos, classes)) * 2.5
    labels = np.array([rng.choice(classes, p=row) for row in softmax(honest, axis=1)])
    return (honest * scale).astype(np.float32), labels


def slow_nll(logits, labels, temperature):
    total = 0.0
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        largest = max(row)
        scaled = [(value - largest) / temperature for value in row]
        total += math.log(sum(math.exp(value) for value in scaled)) - scaled[label]
    return total / len(labels)


def slow_ece(confidences, right, bins):
    """Guo et al. 2017, equation 3: photo i is in bin m if (m - 1) / M < confidence <= m / M."""
    total = 0.0
    for m in range(1, bins + 1):
        inside = [i for i, value in enumerate(confidences) if (m - 1) / bins < value <= m / bins]
        if inside:
            accuracy = sum(bool(right[i]) for i in inside) / len(inside)
            total += len(inside) / len(right) * abs(accuracy - sum(confidences[i] for i in inside) / len(inside))
    return total


def ece_at(logits, labels, temperature):
    return reliability(softmax(logits / temperature, axis=1).max(axis=1), logits.argmax(axis=1) == labels).ece


def golden(function):
    """The T between 0.05 and 20 with the least value."""
    low, high, ratio = math.log(0.05), math.log(20), (math.sqrt(5) - 1) / 2
    for _ in range(45):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (low, right) if function(math.exp(left)) < function(math.exp(right)) else (left, high)
    return math.exp((low + high) / 2)


def test_reliability_by_hand():
    confidences = np.array([0.2, 0.55, 0.6, 0.65, 1.0])
    found = reliability(confidences, np.array([True, False, True, True, True]), bins=5)
    assert found.edges == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])
    assert found.counts.tolist() == [1, 0, 2, 1, 1]  # 0.2 and 0.6 are upper edges
    assert found.confidence == pytest.approx([0.2, math.nan, 0.575, 0.65, 1], nan_ok=True)
    assert found.accuracy == pytest.approx([1, math.nan, 0.5, 1, 1], nan_ok=True)
    assert found.ece == pytest.approx((0.8 + 2 * 0.075 + 0.35 + 0) / 5)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("bins", [1, 10, 15])
def test_ece_equals_the_slow_version(seed, bins):
    rng = np.random.default_rng(seed)
    confidences, right = rng.uniform(0.1, 1, 200), rng.random(200) < 0.7
    assert reliability(confidences, right, bins).ece == pytest.approx(slow_ece(confidences.tolist(), right, bins))


@pytest.mark.parametrize(("classes", "scale"), [(2, 3.0), (5, 2.0), (20, 1.5)])
def test_temperature_of_an_overconfident_net_equals_the_slow_version(classes, scale):
    logits, labels = simulated(120, classes, scale, seed=classes)
    slow = golden(lambda temperature: slow_nll(logits, labels, temperature))
    assert slow > 1
    assert cautious_temperature(logits, labels) == pytest.approx(slow, rel=1e-4)


@pytest.mark.parametrize(("classes", "scale"), [(2, 0.4), (5, 0.3), (20, 0.5)])
def test_temperature_of_a_timid_net_equals_the_slow_version_with_two_more_photos(classes, scale):
    logits, labels = simulated(120, classes, scale, seed=classes)

    def loss(temperature):
        one = slow_nll(logits, logits.argmax(axis=1), temperature)
        other = slow_nll(logits, np.argsort(logits, axis=1)[:, -2], temperature)
        return len(labels) * slow_nll(logits, labels, temperature) + one + other

    slow = golden(loss)
    assert slow < 1
    assert cautious_temperature(logits, labels) == pytest.approx(slow, rel=1e-4)


@pytest.mark.parametrize("scale", [0.25, 1, 4])
def test_temperature_finds_how_much_too_large_the_logits_are(scale):
    logits, labels = simulated(5000, 4, scale, seed=0)
    assert fit_temperature(logits, labels) == pytest.approx(scale, rel=0.06)


@pytest.mark.parametrize("scale", [0.3, 0.8, 1, 1.3, 4])
@pytest.mark.parametrize(("photos", "classes"), [(10, 2), (150, 2), (150, 20)])
def test_neither_loss_nor_ece_rises(photos, classes, scale):
    for seed in range(10):
        logits, labels = simulated(photos, classes, scale, seed)
        temperature = fit_temperature(logits, labels)
        assert 0.05 <= temperature <= 20
        assert slow_nll(logits, labels, temperature) <= slow_nll(logits, labels, 1.0) + 1e-9
        assert ece_at(logits, labels, temperature) <= ece_at(logits, labels, 1.0)


def test_temperature_goes_back_no_farther_than_ece_asks():
    """The logits' size is right, so the expected calibration error is at its noise, which a fitted T often adds to."""
    risen = 0
    for seed in range(20):
        logits, labels = simulated(150, 2, 1.0, seed)
        best = cautious_temperature(logits, labels)
        steps = [best ** (1 - step / 100) for step in range(101)]
        slow = next(step for step in steps if ece_at(logits, labels, step) <= ece_at(logits, labels, 1.0))
        assert fit_temperature(logits, labels) == pytest.approx(slow)
        risen += slow != best
    assert 0 < risen < 20


def test_separated_classes_get_platts_target():
    """Eight photos, all right by a gap of 1: (8 + 1) / (8 + 2) = 1 / (1 + exp(-1 / T)), so T = 1 / ln 9."""
    labels = np.array([0, 1] * 4)
    logits = np.eye(2, dtype=np.float32)[labels]
    assert fit_temperature(logits, labels) == pytest.approx(1 / math.log(9))


def test_separated_classes_are_not_made_surer_than_they_are():
    labels = np.array([0, 1, 2])
    assert fit_temperature(30 * np.eye(3, dtype=np.float32)[labels], labels) == 1.0


def test_one_photo_and_hopeless_logits():
    with warnings.catch_warnings(), np.errstate(all="raise", under="ignore"):
        warnings.simplefilter("error")
        assert 0.05 <= fit_temperature(np.array([[2.0, 1.0, 0.0]]), np.array([0])) <= 1
        labels = np.array([0, 1, 0, 1])
        assert fit_temperature(100 * np.eye(2)[1 - labels], labels) == pytest.approx(20, rel=1e-6)
