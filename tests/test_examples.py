"""The examples do what they say."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.slow
def test_own_callback_ends_the_run(photos, tmp_path):
    done = subprocess.run(
        [sys.executable, EXAMPLES / "own_callback.py", photos, "0.0"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("1 epochs")
    assert done.stderr == ""
