"""Training on a folder with everything that can be wrong in it, as a user would start it."""

import os
import subprocess
import sys

from mstl.checkpoint import read_checkpoint
from tests.conftest import environment, write_folder
from tests.data.test_checks import unusable, unusual


def test_training_finishes_and_names_each_bad_file_once(tmp_path):
    data = write_folder(tmp_path / "photos", {"train": 6, "val": 3})
    bad = unusable(data / "train" / "red")
    good = unusual(data / "train" / "blue")
    (tmp_path / "cwd").mkdir()
    command = [sys.executable, "-m", "mstl.train", f"--data={data}", f"--out={tmp_path / 'run'}", "--model=resnet18"]
    command += ["--weights=none", "--image-size=32", "--epochs=1", "--no-report"]
    done = subprocess.run(
        command, cwd=tmp_path / "cwd", capture_output=True, text=True,
        env=environment(),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr and "[ERROR]" not in done.stderr
    named = [line for line in done.stderr.splitlines() if any(f"/{name}" in line for name in bad)]
    shown = [name for name in bad if sum(f"/{name}" in line for line in named) == 1]
    assert len(shown) == len(named) == len(bad) == 11
    assert f"{12 + len(good)} training and 6 validation images" in done.stderr
    assert os.listdir(tmp_path / "cwd") == []
    assert read_checkpoint(tmp_path / "run" / "best.ckpt")[1]["classes"] == ["blue", "red"]
