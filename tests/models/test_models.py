"""The models: shapes, names, contract, and the layers that mstl puts together itself."""

import inspect

import mindspore as ms
import numpy as np
import pytest

import mstl
from mstl import MstlError
from mstl.models import layers
from mstl.models.architectures import ARCHITECTURES
from mstl.models.contract import Classifier
from mstl.models.resnet import BasicBlock, ResNet


def tensor(*shape, seed=0):
    return ms.Tensor(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "efficientnet_lite0"])
@pytest.mark.parametrize("size", [(64, 64), (224, 224), (96, 160)])
def test_contract(name, size):
    net = mstl.build_model(name, num_classes=3)
    net.set_train(False)
    features = net.forward_features(tensor(1, 3, *size))
    assert features.shape == (1, net.num_features, size[0] // 32, size[1] // 32)
    logits = net.forward_head(features)
    assert logits.shape == (1, 3)
    assert np.array_equal(net(tensor(1, 3, *size)).asnumpy(), logits.asnumpy())


@pytest.mark.parametrize(
    ("name", "count"),  # trainable parameters, as torchvision's documentation and the EfficientNet-Lite page give them
    [("resnet18", 11_689_512), ("resnet34", 21_797_672), ("resnet50", 25_557_032), ("efficientnet_lite0", 4_652_008)],
)
def test_number_of_parameters(name, count):
    assert sum(parameter.size for parameter in getattr(mstl, name)().trainable_params()) == count


def test_every_architecture_has_a_builder_with_the_tutorials_arguments():
    for name in ARCHITECTURES:
        builder = getattr(mstl, name)
        parameters = inspect.signature(builder).parameters
        assert {key: value.default for key, value in parameters.items()} == {
            "num_classes": 1000, "pretrained": False, "weights": None, "padding": None, "pool_padding": None
        }  # fmt: skip
        assert builder.__name__ == name and "num_classes: Outputs of the head." in builder.__doc__
    model = mstl.resnet18(num_classes=3, padding="same", pool_padding="symmetric")
    assert isinstance(model, Classifier)
    assert (model.architecture, model.padding, model.pool_padding) == ("resnet18", "same", "symmetric")
    assert model.preprocessing == mstl.Preprocessing() and model.fc.weight.shape == (3, model.num_features)


def test_names_are_the_tutorials():
    names = {parameter.name for parameter in mstl.resnet50().get_parameters()}
    assert {
        "conv1.weight", "norm.gamma", "norm.moving_mean", "layer1.0.conv1.weight", "layer1.0.norm1.gamma",
        "layer1.0.down_sample.0.weight", "layer1.0.down_sample.1.moving_variance", "layer4.2.norm3.beta", "fc.weight",
        "fc.bias",
    } <= names  # fmt: skip


def test_every_convolution_of_a_basic_block_has_its_own_norm():
    block = BasicBlock(4, 4)
    assert block.norm1.gamma is not block.norm2.gamma
    block.norm2.gamma.set_data(ms.ops.zeros(4, ms.float32))  # the branch is cut off: only the shortcut is left
    x = tensor(1, 4, 6, 6)
    block.set_train(False)
    assert np.array_equal(block(x).asnumpy(), np.maximum(x.asnumpy(), 0))


def test_pool_at_224_is_the_mean():
    """AvgPool2d(7) on 7 x 7 features and the mean at other sizes are one function."""
    net = mstl.resnet18(num_classes=3)
    features = tensor(2, 512, 7, 7)
    by_hand = features.asnumpy().mean((2, 3)) @ net.fc.weight.asnumpy().T + net.fc.bias.asnumpy()
    assert net.forward_head(features).asnumpy() == pytest.approx(by_hand, abs=1e-4)


def test_reset_head():
    net = mstl.resnet18(num_classes=7)
    net.reset_head(2)
    assert net.fc.weight.shape == (2, 512)
    assert {"fc.weight", "fc.bias"} <= {parameter.name for parameter in net.get_parameters()}
    assert net(tensor(1, 3, 64, 64)).shape == (1, 2)


def slow_pool(x, symmetric):
    """Maximum over 3 x 3 windows in steps of 2, one window at a time."""
    n, c, h, w = x.shape
    out = np.zeros((n, c, -(-h // 2), -(-w // 2)), x.dtype)
    for i in range(out.shape[2]):
        for j in range(out.shape[3]):
            # "same" starts at 0 for even sizes and at -1 for odd ones, where one row is missing on either side
            top = 2 * i - (1 if symmetric or h % 2 else 0)
            left = 2 * j - (1 if symmetric or w % 2 else 0)
            out[:, :, i, j] = x[:, :, max(top, 0) : top + 3, max(left, 0) : left + 3].max((2, 3))
    return out


@pytest.mark.parametrize("padding", ["symmetric", "same"])
@pytest.mark.parametrize("size", [(8, 8), (7, 7), (9, 12), (6, 5)])
def test_max_pool_against_the_slow_way(padding, size):
    x = np.abs(tensor(2, 3, *size).asnumpy())
    pooled = layers.MaxPool3x3(padding)(ms.Tensor(x)).asnumpy()
    assert np.array_equal(pooled, slow_pool(x, padding == "symmetric"))


def test_padding_matters():
    x = tensor(1, 3, 64, 64)
    net = mstl.resnet18(num_classes=3, padding="symmetric")
    other = mstl.resnet18(num_classes=3, padding="same")
    for mine, theirs in zip(net.get_parameters(), other.get_parameters(), strict=True):
        theirs.set_data(mine)
    net.set_train(False)
    other.set_train(False)
    assert np.abs(net(x).asnumpy() - other(x).asnumpy()).max() > 1e-3


def test_unknown_names():
    with pytest.raises(MstlError, match="unknown model 'resnet19'.*resnet18.*efficientnet_lite0"):
        mstl.build_model("resnet19")
    with pytest.raises(MstlError, match="num_classes must be 1 or more"):
        mstl.resnet18(num_classes=0)
    with pytest.raises(MstlError, match="no weights file at nothing.ckpt"):
        mstl.resnet18(weights="nothing.ckpt")
    with pytest.raises(MstlError, match="no weights 'nonsense' for resnet50 .there are: .*tutorial"):
        mstl.resnet50(weights="nonsense")


def test_a_basic_block_has_no_groups():
    with pytest.raises(ValueError, match="Bottleneck"):
        ResNet(BasicBlock, (1, 1, 1, 1), groups=32, base_width=4)


@pytest.mark.parametrize("groups", [1, 8])
def test_convolutions_keep_the_signal(groups):
    """He's variance, with groups too: after a ReLU, the mean square comes out as it went in."""
    ms.set_seed(0)
    x = np.maximum(tensor(4, 64, 16, 16).asnumpy(), 0)
    out = layers.conv2d(64, 64, 3, groups=groups)(ms.Tensor(x)).asnumpy()[:, :, 1:-1, 1:-1]
    assert (np.maximum(out, 0) ** 2).mean() == pytest.approx((x**2).mean(), rel=0.15)
