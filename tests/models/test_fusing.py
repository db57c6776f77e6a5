"""The fused copy computes what the model computes."""

import dataclasses

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

import mstl
from mstl.models import layers
from mstl.models.architectures import ARCHITECTURES, RESNETS
from mstl.models.fusing import FusedModel
from mstl.models.resnet import BasicBlock, ResNet
from tests.checkpoints import scatter


def difference(ours, theirs):
    """Largest difference over the spread of the answers."""
    return np.abs(ours - theirs).max() / theirs.std()


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(5).normal(size=(5, 3, 64, 64)).astype(np.float32)


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("resnet18", {}),
        ("resnet18", {"padding": "same"}),
        ("resnet50", {"pool_padding": "same"}),
        ("resnext50_32x4d", {}),
        ("efficientnet_lite0", {}),
    ],
)
def test_the_fused_copy_computes_the_same(model, options, images, monkeypatch):
    """A ResNet with one block with a down-sampling shortcut and one without is fused as a deeper one is."""
    if model in RESNETS:
        monkeypatch.setitem(RESNETS, model, dataclasses.replace(RESNETS[model], blocks=(2, 1, 1, 1)))
    net = scatter(mstl.build_model(model, 7, **options))
    logits = net(ms.Tensor(images)).asnumpy()
    features = net.forward_features(ms.Tensor(images)).asnumpy().mean((2, 3))
    fused = FusedModel(net)
    assert not any(isinstance(cell, nn.BatchNorm2d) for _, cell in fused.copy.cells_and_names())
    ours = fused.compile_classifier()(images)
    assert difference(ours[0], logits) < 1e-4 and difference(ours[1], features) < 1e-4
    for stages in (2, 5):  # in two parts
        between = fused.compile_features(stages)(images)
        ours = fused.compile_classifier(stages)(between)
        assert difference(ours[0], logits) < 1e-4 and difference(ours[1], features) < 1e-4
    assert any(isinstance(cell, nn.BatchNorm2d) for _, cell in net.cells_and_names())  # the model is as it was
    np.testing.assert_array_equal(net(ms.Tensor(images)).asnumpy(), logits)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_convolution_and_every_norm_is_in_exactly_one_pair(name):
    with layers.without_values():
        net = mstl.build_model(name)
    pairs = net.conv_norm_pairs()
    for kind, paired in ((nn.Conv2d, [pair.conv for pair in pairs]), (nn.BatchNorm2d, [pair.norm for pair in pairs])):
        cells = [cell for _, cell in net.cells_and_names() if isinstance(cell, kind)]
        assert sorted(map(id, paired)) == sorted(map(id, cells))
    for pair in pairs:
        assert pair.conv.out_channels == pair.norm.num_features
        kernel, gamma = pair.conv.weight.name, pair.norm.gamma.name
        if kernel == "conv1.weight":  # a ResNet's stem
            assert gamma == "norm.gamma"
        elif kernel.endswith(".0.weight"):  # a down-sampling shortcut, or anything of EfficientNet-Lite
            assert gamma == kernel.removesuffix("0.weight") + "1.gamma"
        else:
            assert gamma == kernel.replace("conv", "norm").replace("weight", "gamma")


class OtherOrderBlock(BasicBlock):
    """A BasicBlock that makes each BatchNorm before its convolution: behind conv1 comes norm2."""

    def __init__(self, in_channels, channels, stride=1, down_sample=None, padding="symmetric", groups=1, base_width=64):
        nn.Cell.__init__(self)
        self.norm1 = layers.batch_norm2d(channels)
        self.conv1 = layers.conv2d(in_channels, channels, 3, stride, padding=padding)
        self.norm2 = layers.batch_norm2d(channels)
        self.conv2 = layers.conv2d(channels, channels, 3, padding=padding)
        self.down_sample = down_sample
        self.relu = nn.ReLU()


class OtherOrderResNet(ResNet):
    """A narrow ResNet whose stem's convolution is made last of all."""

    width = 8

    def __init__(self):
        super().__init__(OtherOrderBlock, (2, 1, 1, 1), num_classes=7)
        del self.conv1
        self.conv1 = layers.conv2d(3, self.width, 7, stride=2)


def test_the_order_in_which_attributes_are_made_does_not_matter(images):
    net = scatter(OtherOrderResNet())
    assert list(net.name_cells())[-1] == "conv1"
    assert list(net.layer1[0].name_cells())[:4] == ["norm1", "conv1", "norm2", "conv2"]
    fused = FusedModel(net)
    assert not any(isinstance(cell, nn.BatchNorm2d) for _, cell in fused.copy.cells_and_names())
    logits, features = fused.compile_classifier()(images)
    assert difference(logits, net(ms.Tensor(images)).asnumpy()) < 1e-4
    assert difference(features, net.forward_features(ms.Tensor(images)).asnumpy().mean((2, 3))) < 1e-4


def test_refresh_takes_over_what_was_trained(images):
    net = scatter(mstl.build_model("resnet18", 3))
    fused = FusedModel(net)
    answers = fused.compile_classifier()
    before = answers(images)[0]
    scatter(net, 1)
    np.testing.assert_array_equal(answers(images)[0], before)
    fused.refresh()
    assert difference(answers(images)[0], net(ms.Tensor(images)).asnumpy()) < 1e-4


def test_batches_of_any_size(images):
    answers = FusedModel(scatter(mstl.build_model("resnet18", 3))).compile_classifier()
    whole = answers(images)[0]
    for count in (0, 1, 2, 3, 5):
        logits, features = answers(images[:count])
        assert logits.shape == (count, 3) and features.shape == (count, 512)
        np.testing.assert_allclose(logits, whole[:count], rtol=0, atol=1e-6)
