"""Figures against numbers worked out by hand or by the slow way."""

import math

import numpy as np
import pytest

from mstl.metrics import Evaluation, softmax


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
