"""Memory that is given back to the system."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import environment

SCRIPT = """
import sys
from pathlib import Path
from mstl.runtime.memory import keep_no_large_blocks

def taken():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

if sys.argv[1] == "called":
    keep_no_large_blocks()
bytes(30_000_000)  # from now on, glibc by itself keeps blocks of that size
before, kept = taken(), []
for index in range(20):
    block = b"x" * 4_000_000
    kept.append(b"y" * 100_000)  # above the block
del block
print(taken() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="measured by /proc")
def test_large_blocks_are_not_kept():
    """Freed ones of 4 MB, between smaller ones that are in use (2 MB)."""
    grown = {}
    for name in ("left", "called"):
        command = [sys.executable, "-c", SCRIPT, name]
        grown[name] = int(subprocess.run(command, capture_output=True, text=True, check=True, env=environment()).stdout)
    assert grown["called"] < 3e6
    assert grown["left"] > grown["called"] + 2e6  # where that is no longer so, the function is not needed
