"""The train step: loss, clipping, accumulation."""

import mindspore as ms
import numpy as np
import pytest

import mstl
from mstl.config import TrainConfig
from mstl.runtime.processes import ProcessGroup
from mstl.training.ema import MovingAverage
from mstl.training.freeze import Freeze
from mstl.training.optimizers import Optimizer, make_groups
from mstl.training.phase import Phase
from mstl.training.recipes import resolve
from mstl.training.train_step import TrainStep, soft_cross_entropy

pytestmark = pytest.mark.usefixtures("narrow_model")


def log_softmax(logits):
    logits = logits - logits.max(1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(1, keepdims=True))


@pytest.mark.parametrize("weights", [None, [0.5, 1.0, 2.0]])
def test_soft_cross_entropy_against_numpy(weights):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(5, 3)).astype(np.float32)
    targets = rng.dirichlet([1, 1, 1], 5).astype(np.float32)
    by_hand = -(targets * (weights or [1, 1, 1]) * log_softmax(logits)).sum() / 5
    loss = soft_cross_entropy(weights)(ms.Tensor(logits), ms.Tensor(targets))
    assert float(loss.asnumpy()) == pytest.approx(by_hand, rel=1e-5)


@pytest.mark.parametrize(("model", "level"), [("resnet18", "none"), ("efficientnet_lite0", "layer3")])
def test_graph_mode_is_pynative_mode(model, level):
    """Parameters and BatchNorm statistics after three steps, of which one has another batch size, are the same."""
    rng = np.random.default_rng(0)
    batches = [rng.normal(size=(size, 3, 32, 32)).astype(np.float32) for size in (4, 3, 4)]
    targets = np.eye(3, dtype=np.float32)[[0, 1, 2, 1]]
    after, losses = [], []
    for graph_batch_size in (0, 4):
        ms.set_seed(3)
        net = mstl.build_model(model, num_classes=3)
        freeze = Freeze(net, level)
        optimizer = Optimizer("momentum", make_groups(net))
        step = TrainStep(freeze.trained_part, soft_cross_entropy(), optimizer, graph_batch_size=graph_batch_size)
        losses.append([])
        for images in batches:
            freeze.set_train()
            for cell in freeze.frozen_cells:
                images = cell(ms.Tensor(images)).asnumpy()
            y = ms.Tensor(targets[: len(images)])
            losses[-1].append(float(step(ms.Tensor(images), y, 0.01).asnumpy()))
            net.set_train(False)  # as a validation between two epochs does
        after.append({parameter.name: parameter.asnumpy() for parameter in net.get_parameters()})
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    for name, value in after[0].items():
        assert np.abs(after[1][name] - value).max() <= 2e-4, name


@pytest.mark.parametrize(
    ("settings", "batches", "graph"),
    [
        ({"freeze": "none", "batch_size": 16}, 7, True),
        ({"freeze": "none", "batch_size": 16}, 6, False),  # 192 photos do not pay for the compilation
        ({"freeze": "none", "batch_size": 16, "image_size": 112}, 24, False),  # of half the size it takes 800
        ({"freeze": "none", "batch_size": 16, "image_size": 112}, 25, True),
        ({"freeze": "layer3"}, 6, True),
        ({"freeze": "backbone"}, 24, False),  # of two epochs: 48 steps of a head alone do not pay
        ({"freeze": "backbone"}, 25, True),
        ({"freeze": "backbone", "unfreeze_at": 2}, 25, False),  # only one epoch is of the head alone
        ({"freeze": "none", "mode": "pynative"}, 6, False),
        ({"freeze": "backbone", "mode": "graph"}, 1, True),
    ],
)
def test_mode_is_chosen(settings, batches, graph):
    config, _ = resolve(TrainConfig(data="x", epochs=2, model="resnet18", **settings), 100, 2)
    phase = Phase(config, mstl.resnet18(num_classes=2), 1, None, ProcessGroup(), batches)
    assert phase.uses_graph_mode(batches) is graph


class Head:
    """The head of a net on fixed features, in MindSpore and in NumPy."""

    def __init__(self, **options):
        rng = np.random.default_rng(1)
        self.model = mstl.resnet18(num_classes=3)
        self.freeze = Freeze(self.model, "backbone")
        optimizer = Optimizer("momentum", make_groups(self.model), momentum=0.0)
        self.step = TrainStep(self.freeze.trained_part, soft_cross_entropy(), optimizer, **options)
        self.x = rng.normal(size=(6, self.model.num_features)).astype(np.float32)
        self.y = np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 1, 2]]
        self.weight = self.model.fc.weight.asnumpy().astype(np.float64)
        self.bias = self.model.fc.bias.asnumpy().astype(np.float64)

    def gradients(self, rows):
        x, y = self.x[rows], self.y[rows]
        difference = np.exp(log_softmax(x @ self.weight.T + self.bias)) - y
        return difference.T @ x / len(x), difference.mean(0)

    def run(self, rows, rate, last=False):
        features = ms.Tensor(self.x[rows][:, :, None, None])
        return self.step(features, ms.Tensor(self.y[rows]), rate, last=last)

    def check(self, gradient_w, gradient_b, rate, tolerance=1e-5):
        assert self.model.fc.weight.asnumpy() == pytest.approx(self.weight - rate * gradient_w, abs=tolerance)
        assert self.model.fc.bias.asnumpy() == pytest.approx(self.bias - rate * gradient_b, abs=tolerance)


def test_one_step_against_numpy():
    head = Head()
    gradients = head.gradients(slice(None))
    loss = head.run(slice(None), 0.1)
    by_hand = -(head.y * log_softmax(head.x @ head.weight.T + head.bias)).sum() / 6
    assert float(loss.asnumpy()) == pytest.approx(by_hand, rel=1e-4)
    head.check(*gradients, 0.1)


def test_clipping_against_numpy():
    head = Head(clip=0.5)
    w, b = head.gradients(slice(None))
    norm = np.sqrt((w**2).sum() + (b**2).sum())
    assert norm > 0.5
    head.run(slice(None), 0.1)
    head.check(w * 0.5 / norm, b * 0.5 / norm, 0.1)


def test_accumulated_batches_are_one_large_batch():
    head = Head(accumulate=2)
    gradients = head.gradients(slice(None))
    head.run(slice(0, 3), 0.1)
    head.check(0, 0, 0.1)  # nothing has moved yet
    head.run(slice(3, 6), 0.1)
    head.check(*gradients, 0.1)


def test_the_last_batch_of_an_epoch_makes_a_step_of_what_there_is():
    head = Head(accumulate=4)
    gradients = head.gradients(slice(None))
    head.run(slice(0, 3), 0.1)
    head.run(slice(3, 6), 0.1, last=True)
    head.check(*gradients, 0.1)


def test_accumulated_images_weigh_the_same():
    """A smaller batch counts as its images do: the step is that of one batch of all five."""
    head = Head(accumulate=2)
    gradients = head.gradients(slice(0, 5))
    head.run(slice(0, 4), 0.1)
    assert not head.step.has_updated
    head.run(slice(4, 5), 0.1)
    assert head.step.has_updated
    head.check(*gradients, 0.1, tolerance=1e-6)


def test_a_short_group_at_the_end_is_its_own_mean():
    """Three batches of 2, 2 and 1 images, two a step: the second step is that of the last image alone."""
    head = Head(accumulate=2)
    head.run(slice(0, 2), 0.0)
    head.run(slice(2, 4), 0.0)
    gradients = head.gradients(slice(4, 5))
    head.run(slice(4, 5), 0.1, last=True)
    assert head.step.has_updated
    head.check(*gradients, 0.1, tolerance=1e-6)


def test_accumulated_gradients_are_summed_as_they_come():
    head = Head(accumulate=8)
    for _ in range(5):
        head.run(slice(0, 2), 0.1)
        assert len(head.step.total) == 2  # of the weight and of the bias, and no more


def test_gradients_are_reduced_before_they_are_clipped():
    head = Head(reduce=lambda gradients: tuple(3 * gradient for gradient in gradients))
    w, b = head.gradients(slice(None))
    head.run(slice(None), 0.1)
    head.check(3 * w, 3 * b, 0.1)


def test_the_moving_average_moves_once_a_step(photos, tmp_path, narrow_model, no_pictures):
    """12 images make 3 batches, and these 2 steps, in each of 2 epochs."""
    settings = {"model": "resnet18", "weights": "none", "image_size": 32, "batch_size": 4, "report": False}
    state = mstl.fit(data=str(photos), out=str(tmp_path / "run"), epochs=2, accumulate=2, ema=0.9, **settings)
    assert state.ema.steps == 4


def test_moving_average_against_numpy():
    net = mstl.resnet18(num_classes=3)
    average = MovingAverage(net, 0.5)
    start = net.fc.bias.asnumpy().copy()
    expected = start.copy()
    for step, value in enumerate((1.0, 2.0, 4.0), start=1):
        net.fc.bias.set_data(ms.Tensor(np.full(3, value, np.float32)))
        average.update()
        keep = min(0.5, (1 + step) / (10 + step))
        expected = keep * expected + (1 - keep) * value
    assert average.to_arrays()["fc.bias"] == pytest.approx(expected, abs=1e-6)
    with average.applied():
        assert net.fc.bias.asnumpy() == pytest.approx(expected, abs=1e-6)
    assert net.fc.bias.asnumpy() == pytest.approx([4.0, 4.0, 4.0])
    other = MovingAverage(net, 0.5)
    other.restore(average.to_arrays(), average.steps)
    assert other.steps == 3 and np.array_equal(other.to_arrays()["fc.bias"], average.to_arrays()["fc.bias"])


@pytest.mark.parametrize("level", ["layer4", "BN"])
def test_moving_average_of_a_net_that_is_partly_frozen(level):
    """What is left out of the average is what it would not change."""
    net = mstl.resnet18(num_classes=3)
    freeze = Freeze(net, level)
    optimizer = Optimizer("momentum", make_groups(net))
    step = TrainStep(freeze.trained_part, soft_cross_entropy(), optimizer)
    whole, partial = MovingAverage(net, 0.5), MovingAverage(net, 0.5)
    images = ms.Tensor(np.random.default_rng(0).normal(size=(2, 3, 32, 32)).astype(np.float32))
    for _ in range(2):
        freeze.set_train()
        inputs = images
        for cell in freeze.frozen_cells:
            inputs = cell(inputs)
        step(inputs, ms.Tensor(np.eye(3, dtype=np.float32)[:2]), 0.01)
        whole.update()
        partial.update(freeze.frozen_ids)
    assert 0 < len(freeze.frozen_ids) < len(whole.parameters)
    for name, value in whole.to_arrays().items():
        assert np.abs(partial.to_arrays()[name] - value).max() <= 1e-6, name
