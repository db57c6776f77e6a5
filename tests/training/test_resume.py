"""A run that was stopped goes on as if it had not been."""

import signal
import subprocess
import time

import numpy as np
import pytest

import mstl
from mstl import MstlError
from mstl.checkpoint import read_checkpoint
from mstl.training import run_dir
from tests import narrow
from tests.conftest import write_folder

pytestmark = pytest.mark.usefixtures("no_pictures", "narrow_model")

TINY = {"model": "resnet18", "weights": "none", "image_size": 32, "batch_size": 4, "workers": 1, "report": False}
VARIANTS = {
    "momentum": {"freeze": "none", "optimizer": "momentum", "augment": "strong"},
    "adamw-mixup-ema": {"freeze": "layer3", "optimizer": "adamw", "mixup": 0.4, "ema": 0.9, "weight_decay": 0.01},
    "unfrozen-later": {"recipe": "finetune", "unfreeze_at": 2},
}


class StopAfter(Exception):
    """Raised by a callback at the end of an epoch, after everything was saved."""


class Stopper:
    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_end(self, state):
        if state.history[-1]["epoch"] == self.epoch:
            raise StopAfter


def rows(history):
    return [{key: value for key, value in row.items() if key != "seconds"} for row in history]


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
def test_stopped_and_resumed_is_one_run(photos, tmp_path, name):
    options = {**TINY, **VARIANTS[name], "data": str(photos), "epochs": 3}
    whole = mstl.fit(out=str(tmp_path / "whole"), **options)
    with pytest.raises(StopAfter):
        mstl.fit(out=str(tmp_path / "parts"), callbacks=[Stopper(1)], **options)
    resumed = mstl.fit(resume=str(tmp_path / "parts"))
    assert rows(resumed.history) == rows(whole.history)
    for file in ("last.ckpt", "best.ckpt"):
        first, second = (read_checkpoint(tmp_path / run / file)[0] for run in ("whole", "parts"))
        assert first.keys() == second.keys()
        assert max(np.abs(first[key].astype(float) - second[key]).max() for key in first) <= 1e-6


@pytest.mark.slow
def test_killed_in_the_middle_of_an_epoch(tmp_path):
    """kill -9 at some step of the second epoch: --resume ends with the weights of the uninterrupted run."""
    data = write_folder(tmp_path / "photos", {"train": 24, "val": 2})
    settings = {**TINY, "data": str(data), "freeze": "none", "mixup": 0.2, "epochs": 4}
    options = [f"--{key.replace('_', '-')}={value}" for key, value in settings.items() if key != "report"]
    command = narrow.command("mstl.train", "--no-report", f"--out={tmp_path / 'parts'}", *options)
    process = subprocess.Popen(**command, stderr=subprocess.DEVNULL)
    while not (tmp_path / "parts" / "last.ckpt").exists():
        assert process.poll() is None
        time.sleep(0.02)
    time.sleep(0.3)
    process.send_signal(signal.SIGKILL)
    process.wait()
    finished = len(read_checkpoint(tmp_path / "parts" / "last.ckpt")[1]["resume"]["history"])
    assert 1 <= finished < 4
    mstl.fit(resume=str(tmp_path / "parts"))
    mstl.fit(out=str(tmp_path / "whole"), **settings)
    first, second = (read_checkpoint(tmp_path / run / "last.ckpt") for run in ("whole", "parts"))
    assert max(np.abs(first[0][key].astype(float) - second[0][key]).max() for key in first[0]) <= 1e-6
    assert rows(first[1]["resume"]["history"]) == rows(second[1]["resume"]["history"])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("run")
    data = write_folder(root / "photos", {"train": 4, "val": 2})
    mstl.fit(data=str(data), out=str(root / "run"), epochs=1, **TINY)
    return root


def test_a_finished_run_says_so(run):
    with pytest.raises(MstlError, match="nothing to resume at .*: it has finished 1 epoch; raise --epochs above that"):
        mstl.fit(resume=str(run / "run"))


def test_more_epochs(run):
    state = mstl.fit(resume=str(run / "run"), epochs=2)
    assert [row["epoch"] for row in state.history] == [1, 2]
    assert read_checkpoint(run / "run" / "last.ckpt")[1]["config"]["epochs"] == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [({"model": "resnet34"}, "with model 'resnet34': it was started with 'resnet18'"), ({"lr": 3.0}, "with lr 3.0")],
)
def test_another_run_is_not_a_resumed_one(run, options, message):
    with pytest.raises(MstlError, match=message):
        mstl.fit(resume=str(run / "run"), **options)


def test_other_photos_are_refused(run, tmp_path):
    before = (run / "run" / "last.ckpt").read_bytes()
    (run / "photos" / "train" / "red" / "red-0.jpg").rename(run / "red-0.jpg")
    try:
        with pytest.raises(MstlError, match="not those that it was started with: 0 new, 1 gone, 0 changed"):
            mstl.fit(resume=str(run / "run"), epochs=9)
    finally:
        (run / "red-0.jpg").rename(run / "photos" / "train" / "red" / "red-0.jpg")
    assert (run / "run" / "last.ckpt").read_bytes() == before


def test_nothing_to_resume(run, tmp_path):
    with pytest.raises(MstlError, match="nothing to resume at .*: it has no last.ckpt"):
        mstl.fit(resume=str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(MstlError, match="nothing to resume at .*: its first epoch was not finished; start it again"):
        mstl.fit(resume=str(tmp_path))
    for no_folder in (tmp_path / "config.json", tmp_path / "nowhere"):
        with pytest.raises(MstlError, match="nothing to resume at .*: it is no folder; give that of a run"):
            mstl.fit(resume=str(no_folder))
    (tmp_path / "last.ckpt").write_bytes((run / "run" / "best.ckpt").read_bytes())
    with pytest.raises(MstlError, match="cannot be resumed"):
        mstl.fit(resume=str(tmp_path))


def test_a_run_folder_is_never_overwritten(run):
    before = (run / "run" / "history.csv").read_text()
    options = {**TINY, "data": str(run / "photos"), "out": str(run / "run"), "epochs": 1}
    assert [mstl.fit(**options).folder.name for _ in range(2)] == ["run-2", "run-3"]
    assert (run / "run" / "history.csv").read_text() == before
    assert run_dir.latest_run(run / "run").name == "run-3"


def test_early_stopping(run, tmp_path):
    """With a rate of nearly nothing no epoch is better than the first, so that patience 2 ends it after the third."""
    options = {**TINY, "data": str(run / "photos"), "epochs": 9, "lr": 1e-30, "patience": 2, "augment": "none"}
    state = mstl.fit(out=str(tmp_path / "a"), **options)
    assert len(state.history) == 3
    assert "stopped early" in state.stop
