"""The folded copy answers what the net answers."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

import mstl
from mstl.models.factory import RESNETS
from mstl.models.fusing import FusedModel
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
def test_folded_answers_are_the_nets_own(model, options, images, monkeypatch):
    """With one block with a shortcut and one without, a ResNet folds as a deeper one, compiled in less time."""
    if model in RESNETS:
        block, _, *widths = RESNETS[model]
        monkeypatch.setitem(RESNETS, model, (block, (2, 1, 1, 1), *widths))
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
    assert any(isinstance(cell, nn.BatchNorm2d) for _, cell in net.cells_and_names())  # the net is as it was
    np.testing.assert_array_equal(net(ms.Tensor(images)).asnumpy(), logits)


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
