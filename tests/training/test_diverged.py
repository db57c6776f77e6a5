"""A run that diverges stops, says so, and keeps its last finite checkpoint."""

import numpy as np
import pytest
from click.testing import CliRunner
from mindspore import Tensor

import mstl
from mstl.checkpoint import read_checkpoint
from mstl.commands import train_command
from mstl.training import trainer
from mstl.training.diverged import Diverged

pytestmark = pytest.mark.usefixtures("no_pictures", "narrow_model")

TINY = {"model": "resnet18", "weights": "none", "image_size": 32, "batch_size": 4, "workers": 1, "report": False}


def test_a_rate_that_is_far_too_high(photos, tmp_path):
    options = [f"--{key.replace('_', '-')}={value}" for key, value in TINY.items() if key != "report"]
    options += [f"--data={photos}", f"--out={tmp_path / 'run'}", "--freeze=none", "--lr=1e6", "--epochs=3"]
    done = CliRunner().invoke(train_command.main, [*options, "--no-report"])
    *_, line = done.stderr.splitlines()
    assert done.exit_code == 1 and "best validation accuracy" not in done.stdout
    assert line.startswith("mstl: error: training diverged in epoch ") and "--lr 1e+05" in line
    assert ("nothing is kept" in line) is not (tmp_path / "run").exists()
    for path in (tmp_path / "run").glob("*.ckpt"):
        assert all(np.isfinite(array).all() for array in read_checkpoint(path)[0].values())


def break_weight(run):
    run.state.model.fc.weight.set_data(Tensor(np.full(run.state.model.fc.weight.shape, np.nan, np.float32)))


def break_bias(run):
    run.state.model.fc.bias.set_data(Tensor(np.full(run.state.model.fc.bias.shape, np.inf, np.float32)))


def break_statistics(run):
    """Training does not see them, and validation by MindSpore takes NaN for 0, as its ReLU does."""
    parameter = next(p for p in run.state.model.get_parameters() if p.name == "layer4.0.norm1.moving_variance")
    parameter.set_data(Tensor(np.full(parameter.shape, np.nan, np.float32)))


def break_optimizer(run):
    """Neither sees the momentum, but the next epoch would."""
    name, parameter = next(item for item in run.state.phase.optimizer.state.items() if "fc.weight" in item[0])
    parameter.set_data(Tensor(np.full(parameter.shape, np.inf, np.float32)))


@pytest.mark.parametrize(
    ("when", "action", "message"),
    [
        ("before", break_weight, "the training loss is not finite"),
        ("after", break_bias, "answers for validation images are not finite"),
        ("after", break_statistics, "values of layer4.0.norm1.moving_variance are not finite"),
        ("after", break_optimizer, "values of .*fc.weight are not finite"),
    ],
)
def test_the_last_finite_epoch_is_kept(photos, tmp_path, monkeypatch, when, action, message):
    train_epoch = trainer.train_epoch

    def spoiled(run, epoch):
        if epoch == 2 and when == "before":
            action(run)
        result = train_epoch(run, epoch)
        if epoch == 2 and when == "after":
            action(run)
        return result

    monkeypatch.setattr(trainer, "train_epoch", spoiled)
    options = {**TINY, "data": str(photos), "out": str(tmp_path / "run"), "freeze": "none", "epochs": 3, "lr": 0.001}
    options |= {"optimizer": "momentum", "engine": "mindspore"}
    with pytest.raises(Diverged, match=f"in epoch 2.*{message}.*run keeps epoch 1; start again.*--lr 0.0001") as caught:
        mstl.fit(**options)
    assert "\n" not in str(caught.value)
    for name in ("best.ckpt", "last.ckpt"):
        arrays, metadata = read_checkpoint(tmp_path / "run" / name)
        assert metadata["metrics"]["epoch"] == 1
        assert all(np.isfinite(array).all() for array in arrays.values())
