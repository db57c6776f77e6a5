"""Several processes train, and stop; :mod:`tests.training.test_launcher` has what happens when one of them dies."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import mstl
from mstl.checkpoint import read_checkpoint
from mstl.commands import train_command
from mstl.config import TrainConfig
from mstl.runtime import devices
from mstl.runtime.processes import ProcessGroup
from mstl.training import recipes, setup
from tests.conftest import environment, write_folder

pytestmark = pytest.mark.usefixtures("narrow_model")

NARROW = """
from mstl.train import main
from mstl.training import launcher
launcher.WORKER = ("-m", "tests.narrow", "mstl.train")
main()
"""
MODEL = {"model": "resnet18", "weights": "none", "image_size": 32, "precision": "fp32"}
OPTIONS = {**MODEL, "batch_size": 4, "epochs": 2, "augment": "none"}
SOLVED = {**MODEL, "folds": 3, "time_limit": "10m"}  # the recipe is auto
RUNS = {  # name: what is asked for
    "backbone": {**OPTIONS, "freeze": "backbone", "lr": 0.001},
    "BN": {**OPTIONS, "freeze": "BN", "lr": 0.001},
    "solved": SOLVED,
    "stopped": {**OPTIONS, "epochs": 5000, "freeze": "none", "lr": 0.001, "ema": 0.5},
}
needs_two_cores = pytest.mark.skipif(devices.cores() < 2, reason="needs two cores")


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """A folder with photos, and runs in two processes each by name: at once, since they wait for each other mostly."""
    root = tmp_path_factory.mktemp("distributed")
    write_folder(root / "photos", {"train": 6, "val": 3})
    processes = {
        name: subprocess.Popen(
            [*(sys.executable, "-c", NARROW, f"--data={root / 'photos'}", f"--out={root / name}", "--nproc=2")]
            + [*(f"--{key.replace('_', '-')}={value}" for key, value in options.items()), "--no-report"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(MSTL_HOME=str(root / "home")),
        )
        for name, options in RUNS.items()
    }
    yield root, processes
    for process in processes.values():
        process.terminate()
        process.wait()


def workers(folder):
    """The process numbers of the workers that write into a folder."""
    for entry in Path("/proc").iterdir():
        try:
            command, environment = (entry / "cmdline").read_bytes(), (entry / "environ").read_bytes()
        except OSError:  # not a process, or it has just ended
            continue
        if str(folder).encode() in command and b"MS_ROLE=MS_WORKER" in environment:
            yield int(entry.name)


@pytest.mark.slow
@needs_two_cores
def test_all_processes_are_stopped_together(started):
    """It is the first test, since this run would keep the others waiting for the processors."""
    folder, process = started[0] / "stopped", started[1]["stopped"]
    while not (folder / "history.csv").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 143, out + err
    assert "of 5000: mstl train --resume" in out + err and list(workers(folder)) == []
    assert [name for name in os.listdir(folder) if name.startswith(".")] == []
    assert len(read_checkpoint(folder / "last.ckpt")[1]["resume"]["history"]) >= 1


@pytest.mark.slow
@needs_two_cores
@pytest.mark.parametrize("freeze", ["backbone", "BN"])
def test_two_processes_are_one(started, freeze):
    """Half the batch in each of two processes, statistics frozen: the weights and counts of one process."""
    root, processes = started
    mstl.fit(data=str(root / "photos"), out=str(root / f"one-{freeze}"), report=False, **RUNS[freeze])
    out, err = processes[freeze].communicate(timeout=300)
    assert processes[freeze].returncode == 0, out + err
    (one, first), (two, second) = (read_checkpoint(root / name / "last.ckpt") for name in (f"one-{freeze}", freeze))
    assert one.keys() == two.keys()
    assert max(np.abs(one[key].astype(float) - two[key]).max() for key in one) <= 1e-5
    for mine, theirs in zip(first["resume"]["history"], second["resume"]["history"], strict=True):
        assert mine["val_accuracy"] == theirs["val_accuracy"]
        assert mine["train_loss"] == pytest.approx(theirs["train_loss"], rel=1e-4)
    assert "best validation accuracy" in out
    assert not (root / f"{freeze}-2").exists()


@pytest.mark.slow
@needs_two_cores
def test_all_processes_answer_alike(started):
    """BatchNorm statistics are those of both: the saved model gives the loss that both have validated together."""
    root, processes = started
    processes["stopped"].wait(timeout=300)
    best = read_checkpoint(root / "stopped" / "best.ckpt")[1]["metrics"]
    evaluation = mstl.Predictor(root / "stopped" / "best.ckpt").evaluate()
    uncalibrated = evaluation.calibrated(1.0)
    assert (uncalibrated.accuracy, uncalibrated.loss) == (
        best["val_accuracy"],
        pytest.approx(best["val_loss"], abs=1e-5),
    )


@pytest.mark.slow
@needs_two_cores
def test_a_head_that_is_solved_for_is_that_of_one_process(started):
    """With its regularisation, history and cross-validation, within a time limit: all that the recipe has by itself."""
    root, processes = started
    one = mstl.fit(data=str(root / "photos"), out=str(root / "one-solved"), report=False, **SOLVED)
    out, err = processes["solved"].communicate(timeout=300)
    assert processes["solved"].returncode == 0, out + err
    assert "the head is solved for by L-BFGS" in out and "2 processes" in out and "out-of-fold accuracy" in out
    runs = [root / name for name in ("one-solved", "solved")]
    (alone, _), (shared, metadata) = (read_checkpoint(folder / "best.ckpt") for folder in runs)
    assert alone.keys() == shared.keys()
    assert max(np.abs(alone[key].astype(float) - shared[key]).max() for key in alone) <= 1e-6
    assert metadata["config"]["weight_decay"] == pytest.approx(one.config.weight_decay, rel=1e-6)
    assert [json.loads((folder / "config.json").read_text())["record"]["head"]["folds"] for folder in runs] == [5, 5]
    (mine,), (theirs,) = (json.loads((folder / "history.json").read_text()) for folder in runs)
    assert mine["val_accuracy"] == theirs["val_accuracy"]
    assert mine["train_loss"] == pytest.approx(theirs["train_loss"], abs=1e-5)
    answers = [(folder / "folds.csv").read_text() for folder in runs]
    assert answers[0].count("\n") == 19 and answers[0] == answers[1]


def test_processes_that_cannot_share_a_batch(photos, tmp_path, monkeypatch):
    class Two(ProcessGroup):
        size = 2

    monkeypatch.setattr(setup, "join_process_group", Two)
    with pytest.raises(mstl.MstlError, match="5 is no multiple of the 2 processes that share it: give --batch-size 6"):
        mstl.fit(data=str(photos), out=str(tmp_path / "run"), **{**OPTIONS, "batch_size": 5})


@pytest.mark.parametrize(("size", "shared"), [(1, 18), (2, 18), (4, 20), (8, 24)])
def test_a_batch_that_nobody_asked_for_is_shared(size, shared, caplog):
    group = ProcessGroup()
    group.size = size
    config, _ = recipes.resolve(TrainConfig(recipe="finetune"), 100, 2, "CPU")
    assert config.batch_size == 18
    with caplog.at_level("INFO", logger="mstl"):
        assert setup.shared_batch(config, group) == dataclasses.replace(config, batch_size=shared)
    said = [] if shared == 18 else [f"batch size: {shared} rather than 18, for {size} processes"]
    assert [record.getMessage() for record in caplog.records] == said


def test_more_processes_than_cores(photos):
    done = CliRunner().invoke(train_command.main, ["--data", str(photos), "--nproc", "999"])
    assert done.exit_code == 1
    assert "--nproc 999 is more than" in done.stderr
