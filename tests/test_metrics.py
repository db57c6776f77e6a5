"""Figures against numbers worked out by hand or by the slow way."""

import math

import numpy as np
import pytest

from mstl.metrics import Evaluation, softmax, wilson


def make(logits, labels):
    return Evaluation(np.array(logits, np.float32), np.array(labels, np.int32), ("a", "b"), tuple("xyz"[: len(labels)]))


def test_softmax_by_hand():
    # e^0 : e^ln3 = 1 : 3
    assert softmax(np.array([[0, math.log(3)]])) == pytest.approx(np.array([[0.25, 0.75]]))
    assert softmax(np.array([[1000.0, 0.0]])) == pytest.approx(np.array([[1.0, 0.0]]))


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
