"""A narrow ResNet-18, for tests of what happens around a net: it is made, compiled, trained and written in less time.

``python -m tests.narrow mstl.train ...`` runs a module with it, in a process of its own.
"""

import runpy
import sys

if __name__ == "__main__" and "mstl.train" in sys.argv:  # before NumPy starts its threads, as the command itself does
    from mstl.runtime import stopping

    stopping.watch()
    stopping.REQUEST.is_deferred = True  # until the command begins

import pytest

from mstl.models.architectures import RESNETS, ResNetSpec
from mstl.models.resnet import ResNet
from tests.conftest import environment

IMPORTED = "imported"  # what mstl.train's process prints before the command begins


def narrow(patch):
    """Give a resnet18 one block a layer and a quarter of its channels, for as long as the MonkeyPatch holds."""
    patch.setattr(ResNet, "width", 16)
    patch.setitem(RESNETS, "resnet18", ResNetSpec(False, (1, 1, 1, 1)))


def command(module, *arguments):
    """What runs ``python -m module`` with the narrow net, as arguments for :class:`subprocess.Popen`."""
    return {
        "args": [sys.executable, "-m", "tests.narrow", module, *map(str, arguments)],
        "env": environment(),
    }


if __name__ == "__main__":
    narrow(pytest.MonkeyPatch())
    pytest.MonkeyPatch().setattr("mstl.engines.choice.computes_bf16", lambda: False)  # as in tests/conftest.py
    sys.argv = sys.argv[1:]
    if sys.argv[0] == "mstl.train":
        stopping.REQUEST.is_deferred = False
        print(IMPORTED, flush=True)
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
