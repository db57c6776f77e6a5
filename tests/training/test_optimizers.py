"""Optimizers on a problem of two weights and a bias, against NumPy."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter

import mstl
from mstl.config import OPTIMIZERS as NAMES
from mstl.training.freeze import Freeze
from mstl.training.optimizers import OPTIMIZERS, Optimizer, ParameterGroup, make_groups

START, BIAS = np.array([[1.0, -2.0]]), np.array([0.5])
GRADIENTS = [(np.array([[0.3 * (k + 1), -0.1]]), np.array([0.2 - 0.3 * k])) for k in range(3)]
RATES = [0.1, 0.05, 0.2]
KEEP, DECAY = 0.9, 0.01


def heavy_ball(w, g, t, rate, memory, decay):
    g = g + decay * w
    memory["v"] = KEEP * memory.get("v", 0) + g
    return w - rate * memory["v"]


def nesterov(w, g, t, rate, memory, decay):
    g = g + decay * w
    memory["v"] = KEEP * memory.get("v", 0) + g
    return w - rate * (g + KEEP * memory["v"])


def adam_step(g, t, memory):
    memory["m"] = 0.9 * memory.get("m", 0) + 0.1 * g
    memory["s"] = 0.999 * memory.get("s", 0) + 0.001 * g**2
    return memory["m"] / (1 - 0.9**t) / (np.sqrt(memory["s"] / (1 - 0.999**t)) + 1e-8)


def adam(w, g, t, rate, memory, decay):
    return w - rate * adam_step(g + decay * w, t, memory)


def adamw(w, g, t, rate, memory, decay):
    return w - rate * decay * w - rate * adam_step(g, t, memory)


BY_HAND = {"momentum": heavy_ball, "sgd": nesterov, "adam": adam, "adamw": adamw}


@pytest.mark.parametrize("name", BY_HAND)
def test_first_three_steps(name):
    weight = Parameter(ms.Tensor(START, ms.float32), name="weight")
    bias = Parameter(ms.Tensor(BIAS, ms.float32), name="bias")
    groups = [ParameterGroup("layer4", (weight,), 0.5, True), ParameterGroup("head", (bias,), 1.0, False)]
    optimizer = Optimizer(name, groups, KEEP, DECAY)
    w, b, memory_w, memory_b = START, BIAS, {}, {}
    for t, ((grad_w, grad_b), rate) in enumerate(zip(GRADIENTS, RATES, strict=True), start=1):
        optimizer.step((ms.Tensor(grad_w, ms.float32), ms.Tensor(grad_b, ms.float32)), rate)
        w = BY_HAND[name](w, grad_w, t, 0.5 * rate, memory_w, DECAY)
        b = BY_HAND[name](b, grad_b, t, rate, memory_b, 0.0)
        assert weight.asnumpy() == pytest.approx(w, abs=2e-6), t
        assert bias.asnumpy() == pytest.approx(b, abs=2e-6), t


def test_names_are_the_configs():
    assert (*OPTIMIZERS, "lbfgs") == NAMES  # which takes no steps
    assert set(OPTIMIZERS) - set(BY_HAND) == {"lamb"}  # which MindSpore lacks on the CPU


def test_groups_of_a_net():
    net = mstl.resnet18(num_classes=3)
    Freeze(net, "layer2")
    groups = make_groups(net, layer_decay=0.5)
    assert [(group.stage, group.lr_scale, group.decay) for group in groups] == [
        ("layer3", 0.25, True), ("layer3", 0.25, False), ("layer4", 0.5, True), ("layer4", 0.5, False),
        ("head", 1.0, True), ("head", 1.0, False),
    ]  # fmt: skip
    for group in groups:
        for parameter in group.parameters:
            assert (len(parameter.shape) > 1) is group.decay
            assert parameter.name.startswith("fc." if group.stage == "head" else group.stage)
    assert {p.name for group in groups for p in group.parameters} == {p.name for p in net.trainable_params()}
