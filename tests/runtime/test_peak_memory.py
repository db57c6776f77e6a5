"""Peak memory, in processes of their own: this one's peak is whatever the tests before have made it."""

import subprocess
import sys

import pytest

from tests.conftest import environment

PEAK = """
import sys
import types
from importlib.util import spec_from_file_location, module_from_spec
spec = spec_from_file_location("peak", sys.argv[1])
module = module_from_spec(spec)
spec.loader.exec_module(module)
if sys.argv[2] == "other":
    module.Path = lambda _: types.SimpleNamespace(read_text=lambda **_: "")
before = module.peak_memory()
block = bytearray(200_000_000)
block[::4096] = b"x" * len(block[::4096])
del block
print(before, module.peak_memory())
"""


@pytest.mark.parametrize("system", ["linux", "other"])
def test_the_peak_stays_when_the_memory_is_free_again(system):
    from mstl.runtime import peak_memory

    if system == "linux" and not sys.platform.startswith("linux"):
        pytest.skip("there is no /proc")
    command = [sys.executable, "-c", PEAK, peak_memory.__file__, system]
    output = subprocess.run(command, capture_output=True, text=True, check=True, env=environment()).stdout
    before, after = map(int, output.split())
    assert after >= 200_000_000
    if system == "linux":
        assert before < 100_000_000  # whatever the process has that started it
