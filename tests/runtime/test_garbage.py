"""When Python looks for garbage."""

import gc
import subprocess
import sys

import pytest

from mstl.runtime.garbage import not_collected
from tests.conftest import environment

COUNTED = """
import atexit, gc, sys
import click
from mstl.commands import shared
tracked = lambda: print(len(gc.get_objects()), gc.get_freeze_count())
atexit.register(tracked)  # runs last
@shared.command
def main():
    pass
main([], standalone_mode=False)
main([], standalone_mode=False)
"""


def test_none_is_looked_for_while_packages_are_loaded():
    assert gc.isenabled()
    with pytest.raises(ImportError), not_collected():
        assert not gc.isenabled()
        raise ImportError
    assert gc.isenabled()
    gc.disable()
    with not_collected():
        pass
    still_disabled = not gc.isenabled()
    gc.enable()
    assert still_disabled


def test_a_command_ends_without_looking_for_any():
    done = subprocess.run(
        [sys.executable, "-c", COUNTED], capture_output=True, text=True, env=environment(), check=True, timeout=60
    )
    looked_at, left_alone = map(int, done.stdout.split())
    assert looked_at < 100 < left_alone
