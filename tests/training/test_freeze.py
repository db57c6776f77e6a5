"""What is frozen stays, what is trained moves."""

import mindspore as ms
import numpy as np
import pytest

import mstl
from mstl.config import FREEZE
from mstl.training.freeze import BATCH_NORM_STATISTICS, Freeze
from mstl.training.optimizers import Optimizer, make_groups
from mstl.training.train_step import TrainStep, soft_cross_entropy

ORDER = ("stem", "layer1", "layer2", "layer3", "layer4")


def arrays(net):
    return {parameter.name: parameter.asnumpy().copy() for parameter in net.get_parameters()}


def random_batch():
    rng = np.random.default_rng(0)
    images = ms.Tensor(rng.normal(size=(6, 3, 32, 32)).astype(np.float32))
    return images, ms.Tensor(np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 1, 2]])


def frozen_part(freeze, images):
    for cell in freeze.frozen_cells:
        images = cell(images)
    return images


def train(level, name="resnet18", steps=3):
    """A few steps on one batch; the net's parameters before and after, and the losses."""
    net = mstl.build_model(name, num_classes=3)
    before = arrays(net)
    freeze = Freeze(net, level)
    step = TrainStep(freeze.trained_part, soft_cross_entropy(), Optimizer("momentum", make_groups(net)))
    images, targets = random_batch()
    losses = []
    for _ in range(steps):
        freeze.set_train()
        losses.append(float(step(frozen_part(freeze, images), targets, 0.003).asnumpy()))
    after = arrays(net)
    return {key for key in before if not np.array_equal(before[key], after[key])}, set(before), losses


def stage_of(name):
    if name.startswith("fc."):
        return "head"
    return name.split(".")[0] if name.startswith("layer") else "stem"


@pytest.mark.parametrize("freeze", FREEZE)
def test_resnet(freeze):
    moved, names, losses = train(freeze)
    if freeze == "BN":
        assert moved == {name for name in names if "norm" not in name and "down_sample.1" not in name}
    else:
        count = {"none": 0, "backbone": 5}.get(freeze, ORDER.index(freeze) + 1 if freeze in ORDER else 0)
        assert moved == {name for name in names if stage_of(name) not in ORDER[:count]}
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("freeze", ["backbone", "layer3", "none"])
def test_efficientnet_lite(freeze):
    moved, names, _ = train(freeze, "efficientnet_lite0")
    if freeze == "backbone":
        assert moved == {"fc.weight", "fc.bias"}
    elif freeze == "layer3":
        expected = {name for name in names if name.startswith(("top", "fc"))}
        expected |= {name for name in names if name.startswith("blocks.") and int(name.split(".")[1]) >= 11}
        assert moved == expected
    else:
        assert moved == names


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_lite0"])
def test_stages_are_the_net(name):
    """What a half-frozen net computes is what the net computes."""
    net = mstl.build_model(name, num_classes=3)
    net.set_train(False)
    images, _ = random_batch()
    whole = net(images).asnumpy()
    for level in ("none", "layer2", "backbone"):
        freeze = Freeze(net, level)
        assert np.array_equal(freeze.trained_part(frozen_part(freeze, images)).asnumpy(), whole)


def test_statistics_are_never_trained_by_a_gradient():
    net = mstl.resnet18(num_classes=3)
    Freeze(net, "none")
    assert not [
        parameter.name for parameter in net.trainable_params() if parameter.name.endswith(BATCH_NORM_STATISTICS)
    ]


def test_one_freeze_after_another():
    net = mstl.resnet18(num_classes=3)
    Freeze(net, "backbone")
    assert {parameter.name for parameter in net.trainable_params()} == {"fc.weight", "fc.bias"}
    Freeze(net, "none")
    assert len(net.trainable_params()) == 3 + 8 * 6 + 3 * 3 + 2  # stem, blocks, their shortcuts, head
