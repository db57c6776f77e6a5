"""Figures against numbers worked out by hand or by the slow way."""

import json
import math
import warnings

import numpy as np
import pytest
from scipy.special import softmax
from sklearn import metrics as sklearn_metrics

from mstl.evaluation.metrics import Evaluation, wilson


def make(logits, labels):
    return Evaluation(np.array(logits, np.float32), np.array(labels, np.int32), ("a", "b"), tuple("xyz"[: len(labels)]))


def test_probabilities_by_hand():
    # e^0 : e^ln3 = 1 : 3
    assert make([[0, math.log(3)], [1000.0, 0.0]], [1, 0]).probabilities == pytest.approx(
        np.array([[0.25, 0.75], [1.0, 0.0]])
    )


def test_evaluation_by_hand():
    evaluation = make([[0, math.log(3)], [2, 1], [5, 0]], [1, 1, 0])
    assert (evaluation.correct, evaluation.total) == (2, 3)
    assert evaluation.accuracy == pytest.approx(2 / 3)
    assert evaluation.predictions.tolist() == [1, 0, 0]
    # -ln(3/4); the second is -1 + ln(e^2 + e); the third -5 + ln(e^5 + 1)
    by_hand = (math.log(4 / 3) + math.log(math.e**2 + math.e) - 1 + math.log(math.e**5 + 1) - 5) / 3
    assert evaluation.loss == pytest.approx(by_hand, rel=1e-6)


def test_loss_survives_huge_logits():
    assert make([[1e4, 0]], [1]).loss == pytest.approx(1e4)


@pytest.mark.parametrize(
    ("correct", "total", "low", "high"),
    [  # by hand: (p + z^2/2n +- z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n), z = 1.96
        (60, 60, 0.9398, 1.0),
        (0, 10, 0.0, 0.2775),
        (146, 153, 0.9085, 0.9777),
        (5, 10, 0.2366, 0.7634),
    ],
)
def test_wilson_interval(correct, total, low, high):
    assert wilson(correct, total) == pytest.approx((low, high), abs=2e-4)


def test_figures_of_each_class_by_hand():
    """Six photos of three classes, one more class without photos: confusion [[2, 0, 0], [1, 1, 0], [1, 0, 1]]."""
    predictions = [0, 0, 0, 1, 0, 2]
    logits = np.eye(4, dtype=np.float32)[predictions]
    labels = np.array([0, 0, 1, 1, 2, 2], np.int32)
    evaluation = Evaluation(logits, labels, ("a", "b", "c", "d"), tuple("uvwxyz"))
    assert evaluation.confusion.tolist() == [[2, 0, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]]
    assert evaluation.recall[:3] == pytest.approx([1, 0.5, 0.5]) and np.isnan(evaluation.recall[3])
    assert evaluation.precision == pytest.approx([0.5, 1, 1, 0])
    assert evaluation.f1[:3] == pytest.approx([2 / 3, 2 / 3, 2 / 3]) and np.isnan(evaluation.f1[3])
    assert evaluation.macro_f1 == pytest.approx(2 / 3)
    assert evaluation.interval == wilson(4, 6)


def test_top_k_by_hand():
    logits = np.array([[4, 3, 2, 1], [1, 2, 3, 4], [4, 3, 2, 1]], np.float32)
    evaluation = Evaluation(logits, np.array([1, 1, 3], np.int32), tuple("abcd"), tuple("xyz"))
    assert [evaluation.top(k) for k in (1, 2, 3, 4)] == pytest.approx([0, 1 / 3, 2 / 3, 1])


def random_case(seed):
    """Labels and logits at random: from seed 5 on, one class has no photos, and seed 9 never predicts one that has."""
    rng = np.random.default_rng(seed)
    classes = 2 + seed
    labels = rng.integers(0, classes, 60).astype(np.int32)
    logits = rng.normal(size=(60, classes)).astype(np.float32)
    logits[np.arange(60), labels] += 1
    if seed >= 5:
        labels[labels == 3] = 0
    if seed == 9:
        logits[:, 1] = -9
    return Evaluation(logits, labels, tuple(f"class {n}" for n in range(classes)), tuple(map(str, range(60))))


@pytest.mark.parametrize("seed", range(10))
def test_figures_equal_those_of_scikit_learn(seed):
    evaluation = random_case(seed)
    labels, predictions = evaluation.labels, evaluation.predictions
    present = np.unique(labels)
    every = range(len(evaluation.classes))
    assert (len(present) < len(every)) == (seed >= 5)

    def scores(average):
        figures = sklearn_metrics.precision_recall_fscore_support(
            labels, predictions, labels=present, average=average, zero_division=0
        )
        return [values for values in figures if values is not None]  # no support where there is an average

    precision, recall, f1, support = scores(None)
    assert evaluation.precision[present] == pytest.approx(precision)
    assert evaluation.recall[present] == pytest.approx(recall)
    assert evaluation.f1[present] == pytest.approx(f1)
    assert evaluation.support[present].tolist() == support.tolist()
    for average in ("macro", "weighted"):
        ours = [getattr(evaluation, f"{average}_{kind}") for kind in ("precision", "recall", "f1")]
        assert ours == pytest.approx(scores(average)), average
    assert evaluation.accuracy == pytest.approx(sklearn_metrics.accuracy_score(labels, predictions))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of predictions of a class without photos
        balanced = sklearn_metrics.balanced_accuracy_score(labels, predictions)
    assert evaluation.balanced_accuracy == pytest.approx(balanced)
    confusion = sklearn_metrics.confusion_matrix(labels, predictions, labels=every)
    assert evaluation.confusion.tolist() == confusion.tolist()
    for temperature in (1.0, 2.5):
        warm = evaluation.calibrated(temperature)
        expected = sklearn_metrics.log_loss(labels, softmax(evaluation.logits / temperature, axis=1), labels=every)
        assert warm.nll == pytest.approx(expected, rel=1e-5)
        assert warm.loss == evaluation.loss == pytest.approx(evaluation.calibrated(1.0).nll)
    if len(every) > 3:
        expected = sklearn_metrics.top_k_accuracy_score(labels, evaluation.logits, k=3, labels=every)
        assert evaluation.top(3) == pytest.approx(expected)


def test_temperature_by_hand():
    evaluation = make([[0, math.log(9)], [math.log(3), 0]], [1, 1])
    assert evaluation.confidences == pytest.approx([0.9, 0.75])
    warm = evaluation.calibrated(2.0)  # the square roots of 9 and 3
    assert warm.confidences == pytest.approx([0.75, math.sqrt(3) / (1 + math.sqrt(3))])
    assert warm.predictions.tolist() == evaluation.predictions.tolist()
    assert warm.nll == pytest.approx((-math.log(0.75) + math.log(1 + math.sqrt(3))) / 2)
    assert warm.loss == evaluation.loss == pytest.approx((-math.log(0.9) + math.log(4)) / 2)


def test_reliability_by_hand():
    evaluation = make([[0, math.log(9)], [math.log(3), 0], [0, math.log(9)]], [1, 1, 1])
    found = evaluation.reliability(bins=5)
    assert found.counts.tolist() == [0, 0, 0, 1, 2]
    assert found.confidence[3:] == pytest.approx([0.75, 0.9])
    assert found.accuracy[3:] == pytest.approx([0, 1])
    assert evaluation.ece(bins=5) == pytest.approx((0.75 + 2 * 0.1) / 3)


def test_worst_and_confident_wrong():
    logits = [[0, 1], [0, 5], [3, 0], [0, 3], [1, 0]]
    evaluation = Evaluation(np.array(logits, np.float32), np.array([0, 1, 1, 0, 1], np.int32), ("a", "b"), (*"vwxyz",))
    assert evaluation.worst(3).tolist() == [2, 3, 0]  # 2 and 3 lose as much, 0 and 4 too: the first of them first
    assert evaluation.worst(99).tolist() == [2, 3, 0, 4, 1]
    assert evaluation.confident_wrong(2).tolist() == [2, 3]
    assert evaluation.confident_wrong(99).tolist() == [2, 3, 0, 4]


def test_worst_and_confident_wrong_differ_where_the_own_class_comes_last():
    logits = np.log([[0.5, 0.4, 0.1], [0.6, 0.3, 0.1]]).astype(np.float32)
    evaluation = Evaluation(logits, np.array([2, 1], np.int32), ("a", "b", "c"), ("x", "y"))
    assert evaluation.worst(1).tolist() == [0]
    assert evaluation.confident_wrong(1).tolist() == [1]


@pytest.mark.parametrize("seed", [0, 5, 9])
def test_dictionary_is_plain_json(seed):
    evaluation = random_case(seed).calibrated(2.0)
    figures = json.loads(json.dumps(evaluation.to_dict(), allow_nan=False))
    assert figures == evaluation.to_dict()
    assert (figures["total"], figures["correct"]) == (60, evaluation.correct)
    assert figures["interval"] == pytest.approx(wilson(evaluation.correct, 60))
    assert ("top5" in figures) == (len(evaluation.classes) > 5)
    assert figures["nll"] == evaluation.nll != figures["loss"]
    assert figures["ece"] == {"uncalibrated": evaluation.calibrated(1.0).ece(), "calibrated": evaluation.ece()}
    assert figures["ece"]["uncalibrated"] != figures["ece"]["calibrated"]
    assert figures["macro"]["f1"] == evaluation.macro_f1
    assert figures["weighted"]["precision"] == evaluation.weighted_precision
    assert np.sum(figures["confusion"]) == 60
    assert [row["name"] for row in figures["classes"]] == list(evaluation.classes)
    assert [row["support"] for row in figures["classes"]] == np.sum(figures["confusion"], axis=1).tolist()
    if seed >= 5:
        absent = figures["classes"][3]
        assert (absent["support"], absent["recall"], absent["f1"], absent["precision"]) == (0, None, None, 0)


@pytest.mark.parametrize(
    ("logits", "labels"),
    [
        ([[2.0, 1.0, 0.0]], [0]),  # one photo, right
        ([[2.0, 1.0, 0.0]], [2]),  # one photo, wrong
        ([[1e4, 0, 0], [0, 1e4, 0]], [1, 1]),  # a class never predicted, huge logits
    ],
)
def test_no_warning_at_the_edges(logits, labels):
    names = tuple(map(str, labels))
    evaluation = Evaluation(np.array(logits, np.float32), np.array(labels, np.int32), ("a", "b", "c"), names)
    with warnings.catch_warnings(), np.errstate(all="raise", under="ignore"):
        warnings.simplefilter("error")
        figures = evaluation.to_dict()
        evaluation.worst(5), evaluation.confident_wrong(5)
    assert figures["accuracy"] == evaluation.balanced_accuracy == figures["correct"] / len(labels)
