"""After a run was resumed, all that tells of the best epoch is of best.ckpt, whenever that epoch was."""

import numpy as np
import pytest
from mindspore import Tensor

import mstl
from mstl import MstlError
from mstl.checkpoint import read_checkpoint
from mstl.report.describe_run import describe_folder
from mstl.report.run_report import load_run_report
from mstl.training import trainer

pytestmark = pytest.mark.usefixtures("no_pictures", "narrow_model")

TINY = {"model": "resnet18", "weights": "none", "image_size": 32, "batch_size": 4, "workers": 1, "freeze": "backbone"}


@pytest.fixture
def resumed(photos, tmp_path, monkeypatch):
    """A run of two epochs and, resumed, a third that is worse than both."""
    first = mstl.fit(data=str(photos), out=str(tmp_path / "run"), epochs=2, best="loss", **TINY)
    train_epoch = trainer.train_epoch

    def spoiled(run, epoch):
        result = train_epoch(run, epoch)
        run.state.model.fc.bias.set_data(Tensor(np.array([9, -9], np.float32)))
        return result

    monkeypatch.setattr(trainer, "train_epoch", spoiled)
    return first, mstl.fit(resume=first.folder, epochs=3)


def test_everything_is_of_best_ckpt(resumed):
    first, state = resumed
    folder, best = state.folder, state.best["epoch"]
    assert best == first.best["epoch"] < 3 == len(state.history)
    metadata = read_checkpoint(folder / "best.ckpt")[1]
    assert metadata["metrics"]["epoch"] == best
    assert np.abs(state.best_evaluation.logits - first.best_evaluation.logits).max() <= 1e-5
    assert state.best_evaluation.loss == pytest.approx(state.best["val_loss"], abs=1e-5)
    assert state.rejector.to_record() == metadata["trust"]
    own = mstl.Predictor(folder / "best.ckpt").evaluate()
    for run in (load_run_report(folder), describe_folder(folder)):
        assert np.abs(run.evaluation.logits - own.logits).max() <= 1e-4
        assert run.evaluation.temperature == metadata["trust"]["temperature"]
        assert run.rejector == metadata["trust"] and len(run.history) == 3
    html = state._repr_html_()
    assert f"{state.best_evaluation.accuracy:.0%}"[:-1] in html or f"{100 * state.best_evaluation.accuracy:.1f}" in html


def test_without_best_ckpt_a_run_is_not_resumed(resumed):
    folder = resumed[1].folder
    (folder / "best.ckpt").rename(folder / "elsewhere.ckpt")
    with pytest.raises(MstlError, match="best.ckpt, of its epoch [12], is gone"):
        mstl.fit(resume=folder, epochs=4)
