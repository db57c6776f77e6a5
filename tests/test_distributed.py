"""Several processes, by msrun."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from mstl import runtime, train
from mstl.checkpoint import read_checkpoint
from tests.conftest import write_folder

OPTIONS = ["--model=resnet18", "--weights=none", "--image-size=32", "--batch-size=4", "--epochs=2", "--augment=none"]
OPTIONS += ["--no-report"]
needs_two_cores = pytest.mark.skipif(runtime.cores() < 2, reason="needs two cores")


def run(*arguments):
    command = [sys.executable, "-m", "mstl.train", *(str(argument) for argument in arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=dict(os.environ), timeout=300)


@pytest.mark.slow
@needs_two_cores
@pytest.mark.parametrize("freeze", ["backbone", "BN"])
def test_two_processes_are_one(tmp_path, freeze):
    """Half the batch in each of two processes, statistics frozen: the weights and counts of one process."""
    data = write_folder(tmp_path / "photos", {"train": 6, "val": 3})
    for name, more in {"one": [], "two": ["--nproc=2"]}.items():
        done = run(f"--data={data}", f"--out={tmp_path / name}", f"--freeze={freeze}", "--lr=0.001", *OPTIONS, *more)
        assert done.returncode == 0, done.stdout + done.stderr
    (one, first), (two, second) = (read_checkpoint(tmp_path / name / "last.ckpt") for name in ("one", "two"))
    assert one.keys() == two.keys()
    assert max(np.abs(one[key].astype(float) - two[key]).max() for key in one) <= 1e-5
    for mine, theirs in zip(first["resume"]["history"], second["resume"]["history"], strict=True):
        assert mine["val_accuracy"] == theirs["val_accuracy"]
        assert mine["train_loss"] == pytest.approx(theirs["train_loss"], rel=1e-4)
    assert "best validation accuracy" in done.stdout
    assert not (tmp_path / "two-2").exists()


@pytest.mark.slow
@needs_two_cores
def test_an_error_in_the_processes_is_one_line(tmp_path):
    data = write_folder(tmp_path / "photos", {"train": 6, "val": 3})
    done = run(f"--data={data}", f"--out={tmp_path / 'run'}", *OPTIONS, "--batch-size=5", "--nproc=2")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1 and "batch_size 5 is no multiple of the 2 processes" in done.stderr
    assert "Traceback" not in done.stdout


def workers(folder):
    """The process numbers of msrun's workers that write into a folder."""
    for entry in Path("/proc").iterdir():
        try:
            command, environment = (entry / "cmdline").read_bytes(), (entry / "environ").read_bytes()
        except OSError:  # not a process, or it has just ended
            continue
        if str(folder).encode() in command and b"MS_ROLE=MS_WORKER" in environment:
            yield int(entry.name)


@pytest.mark.slow
@needs_two_cores
def test_one_process_dying_ends_them_all(tmp_path):
    data = write_folder(tmp_path / "photos", {"train": 6, "val": 3})
    command = [sys.executable, "-m", "mstl.train", f"--data={data}", f"--out={tmp_path / 'run'}", *OPTIONS]
    command += ["--epochs=5000", "--nproc=2"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "run" / "history.csv").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    running = sorted(workers(tmp_path / "run"))
    assert len(running) == 2
    os.kill(running[-1], signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.count("\n") == 1 and "a process of the run was killed or broke down" in err
    assert list(workers(tmp_path / "run")) == []


def test_more_processes_than_cores(photos):
    done = CliRunner().invoke(train.main, ["--data", str(photos), "--nproc", "999"])
    assert done.exit_code == 1
    assert "--nproc 999 is more than" in done.stderr
