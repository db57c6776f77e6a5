"""The compiled step of a head: the same numbers as without compiling, for every setting that takes part in it."""

import mindspore as ms
import numpy as np
import pytest

import mstl
from mstl.config import TrainConfig
from mstl.evaluation.evaluate import evaluate_head
from mstl.runtime.processes import ProcessGroup
from mstl.training.head_step import HeadStep
from mstl.training.phase import Phase
from mstl.training.recipes import resolve
from mstl.training.train_step import TrainStep
from tests.conftest import write_folder

pytestmark = pytest.mark.usefixtures("narrow_model")


def phase_of(mode, class_weights=None, **settings):
    ms.set_seed(3)
    common = {"data": "x", "model": "resnet18", "epochs": 9, "batch_size": 4, "lr": 0.1, "mode": mode}
    config, _ = resolve(TrainConfig(**{**common, **settings}), 100, 3)
    model = mstl.resnet18(num_classes=3)
    return Phase(config, model, 1, class_weights, ProcessGroup(), 9), model


@pytest.mark.parametrize("shape", [(), (1, 1), (2, 2)])
@pytest.mark.parametrize(
    "settings",
    [
        {"weight_decay": 0.1},
        {"clip": 0.05, "momentum": 0.5},
        {"class_weights": [0.5, 2.0, 1.0]},
        {"optimizer": "sgd", "weight_decay": 0.1},
        {"optimizer": "adam", "weight_decay": 0.1, "clip": 0.05},
    ],
)
def test_compiled_steps_are_those_of_pynative_mode(settings, shape):
    """Losses, parameters and moments after steps of other rates, of which every third has a smaller batch."""
    rng = np.random.default_rng(0)
    batches = [rng.normal(size=(size, 128, *shape)).astype(np.float32) for size in (4, 4, 3, 4, 4, 1)]
    targets = rng.dirichlet([1, 1, 1], 4).astype(np.float32)
    losses, values = [], []
    for mode, kind in (("pynative", TrainStep), ("graph", HeadStep)):
        phase, model = phase_of(mode, **settings)
        assert type(phase.train_step) is kind
        phase.freeze.set_train()
        losses.append([])
        for number, batch in enumerate(batches):
            y = ms.Tensor(targets[: len(batch)])
            losses[-1].append(float(phase.train_step(ms.Tensor(batch), y, 0.1 / (number + 1)).asnumpy()))
            assert phase.train_step.has_updated
        values.append({p.name: p.asnumpy() for p in [*model.get_parameters(), *phase.optimizer.state.values()]})
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    for name, value in values[0].items():
        np.testing.assert_allclose(values[1][name], value, rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("settings", [{"accumulate": 2}, {"optimizer": "adamw"}])
def test_what_does_not_fit_into_one_graph_has_its_gradients_compiled(settings):
    phase, _ = phase_of("graph", **settings)
    assert type(phase.train_step) is TrainStep


@pytest.mark.parametrize(
    "settings",
    [
        {"ema": 0.9, "smoothing": 0.1, "schedule": "one-cycle", "class_weights": "balanced", "weight_decay": 0.01},
        {"optimizer": "adamw", "accumulate": 2, "clip": 0.1, "sampler": "balanced", "views": 2, "augment": "light"},
    ],
)
def test_runs_are_those_of_pynative_mode(settings, tmp_path, no_pictures):
    """Whole runs, one of them stopped and resumed: the same history and the same weights."""
    write_folder(tmp_path / "photos", {"train": 13, "val": 4})
    common = {"data": str(tmp_path / "photos"), "model": "resnet18", "weights": "none", "image_size": 32, "epochs": 4}
    common |= {"batch_size": 5, "lr": 0.05, "report": False, "engine": "mindspore", **settings}
    uncompiled = mstl.fit(**common, mode="pynative", out=str(tmp_path / "pynative"))
    mstl.fit(callbacks=[StopAt(2)], **common, mode="graph", out=str(tmp_path / "graph"))
    compiled = mstl.fit(resume=tmp_path / "graph")
    assert len(compiled.history) == 4
    for rows in zip(uncompiled.history, compiled.history, strict=True):
        for key in ("lr", "train_loss", "val_loss", "val_accuracy"):
            assert rows[1][key] == pytest.approx(rows[0][key], rel=1e-4), (rows[0]["epoch"], key)
    for name, value in uncompiled.parameter_arrays().items():
        np.testing.assert_allclose(compiled.parameter_arrays()[name], value, rtol=1e-4, atol=1e-5, err_msg=name)


class StopAt:
    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_end(self, state):
        if state.history[-1]["epoch"] == self.epoch:
            state.stop = "enough"


def test_a_head_is_evaluated_by_one_product(tmp_path):
    write_folder(tmp_path, {"val": 3})
    images = mstl.load_data(tmp_path / "val", val=tmp_path / "val")[1]
    rng = np.random.default_rng(1)
    features, weight, bias = rng.normal(size=(6, 5)), rng.normal(size=(2, 5)), rng.normal(size=2)
    found = evaluate_head(features.astype(np.float16), weight.astype(np.float32), bias.astype(np.float32), images)
    for row in range(6):
        by_hand = [sum(weight[c, k] * features[row, k] for k in range(5)) + bias[c] for c in range(2)]
        np.testing.assert_allclose(found.logits[row], by_hand, rtol=0.01, atol=0.01)
    assert found.logits.dtype == found.features.dtype == np.float32 and found.featured is None
