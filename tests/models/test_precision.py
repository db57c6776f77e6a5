"""Mixed precision, as far as MindSpore's casts work on a CPU."""

import mindspore as ms
import numpy as np
import pytest

import mstl
from mstl.checkpoint import read_checkpoint
from mstl.models.fusing import FusedModel
from mstl.models.precision import set_precision, unwrapped
from mstl.report.gradcam import gradcam
from mstl.training import setup
from mstl.training.freeze import Freeze

pytestmark = pytest.mark.usefixtures("narrow_model", "no_pictures")
IMAGES = np.random.default_rng(0).normal(size=(2, 3, 32, 32)).astype(np.float32)
TINY = {"model": "resnet18", "weights": "none", "image_size": 32, "batch_size": 4, "workers": 1, "report": False}


@pytest.fixture(params=["O2", "O3"])
def models(request):
    """The same model in float32 and in mixed precision."""
    single, mixed = (mstl.resnet18(num_classes=3) for _ in range(2))
    for parameter, other in zip(mixed.get_parameters(), single.get_parameters(), strict=True):
        parameter.set_data(other.value())
    set_precision(mixed, request.param)
    return single, mixed


def logits(model):
    model.set_train(False)
    return model(ms.Tensor(IMAGES))


def test_logits_are_float32_and_near(models):
    single, mixed = (logits(model) for model in models)
    assert mixed.dtype == ms.float32
    difference = np.abs(single.asnumpy() - mixed.asnumpy()).max()
    assert 0 < difference <= 0.02 * np.abs(single.asnumpy()).max()  # it does compute in float16


def test_all_batch_norms_are_fused(models):
    single, mixed = models
    assert len(mixed.conv_norm_pairs()) == len(single.conv_norm_pairs()) == 12
    fused = FusedModel(mixed)
    assert len(fused.pairs) == 12
    outputs, features = fused.compile_classifier(0)(IMAGES)
    assert outputs.dtype == features.dtype == np.float32
    expected = logits(single).asnumpy()
    assert np.abs(outputs - expected).max() <= 0.02 * np.abs(expected).max()
    activations = fused.compile_features(2)(IMAGES)
    assert activations.dtype == np.float32
    rest, _ = fused.compile_classifier(2)(activations)
    assert np.abs(rest - expected).max() <= 0.02 * np.abs(expected).max()


def test_it_is_applied_once():
    model = mstl.resnet18(num_classes=3)
    set_precision(model, "O2")
    count = len(list(model.cells_and_names()))
    set_precision(model, "O2")
    assert len(list(model.cells_and_names())) == count
    with pytest.raises(ValueError, match="at O2 already, not O3"):
        set_precision(model, "O3")


def test_frozen_batch_norms_are_found_in_their_wrappers():
    model = mstl.resnet18(num_classes=3)
    set_precision(model, "O2")
    Freeze(model, "BN").set_train()
    modes = {pair.norm.training for pair in model.conv_norm_pairs()}
    assert modes == {False} and model.fc.training
    assert all(unwrapped(pair.norm) is pair.norm for pair in model.conv_norm_pairs())


def test_deciding_by_operation_reaches_what_is_run(monkeypatch):
    """MindSpore decorates the model's own construct, which no training step runs."""
    decorated = []
    monkeypatch.setattr(ms.amp, "auto_mixed_precision", lambda cell, level: decorated.append(type(cell).__name__))
    model = mstl.resnet18(num_classes=3)
    set_precision(model, "auto")
    Freeze(model, "layer3")
    FusedModel(model).compile_features(4)
    FusedModel(model).compile_classifier(4)
    assert decorated == ["TrainedPart", "FirstStages", "LastStages"]


def test_gradcam(models):
    assert np.isfinite(gradcam(models[1], IMAGES)).all()


def test_a_run_that_unfreezes_and_is_resumed(photos, tmp_path, monkeypatch):
    """One application for both phases, and the loss scale goes on where it was."""
    monkeypatch.setattr(setup, "MIXED_PRECISION_DEVICES", ("CPU",))
    options = {**TINY, "data": str(photos), "amp": "O2", "recipe": "finetune", "unfreeze_at": 2}
    whole = mstl.fit(out=str(tmp_path / "whole"), epochs=3, **options)
    parts = mstl.fit(out=str(tmp_path / "parts"), epochs=3, callbacks=[StopAfter(2)], **options)
    assert len(parts.history) == 2
    start = LossScaleAtStart()
    resumed = mstl.fit(resume=parts.folder, callbacks=[start])
    assert len(resumed.model.conv_norm_pairs()) == 12
    assert start.seen == {name: value[0] for name, value in parts.snapshot.loss_scale.items()}
    assert [row["train_loss"] for row in resumed.history] == [row["train_loss"] for row in whole.history]
    first, second = (read_checkpoint(tmp_path / run / "last.ckpt")[0] for run in ("whole", "parts"))
    assert max(np.abs(first[key].astype(float) - second[key]).max() for key in first) <= 1e-6


class StopAfter:
    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_end(self, state):
        if state.history[-1]["epoch"] == self.epoch:
            state.stop = "enough"


class LossScaleAtStart:
    def on_start(self, state):
        self.seen = {name: parameter.asnumpy().item() for name, parameter in state.phase.loss_scale.items()}
