"""The house: what is imported when, and in which direction."""

import importlib
import subprocess
import sys
from pathlib import Path

import click
import pytest

import mstl
from mstl.__main__ import COMMANDS, main

ROOT = Path(mstl.__file__).parent


@pytest.mark.parametrize(
    "code", ["import mstl", "import mstl.__main__", "import mstl.train, mstl.visualize, mstl.commands.doctor_command"]
)
def test_quick_imports_leave_mindspore_alone(code):
    check = "import sys; assert not {'mindspore', 'numpy', 'matplotlib'} & sys.modules.keys(), 'heavy'"
    subprocess.run([sys.executable, "-W", "error", "-c", f"{code}; {check}"], check=True)


@pytest.mark.parametrize(
    "arguments", [["-m", "mstl", "--help"], ["-m", "mstl", "train", "--help"], ["-m", "mstl.train", "-h"]]
)
def test_help_leaves_mindspore_alone_and_is_silent_on_stderr(arguments):
    code = f"import runpy, sys; sys.argv = {['mstl', *arguments[2:]]!r}\n"
    code += f"try: runpy.run_module({arguments[1]!r}, run_name='__main__')\n"
    code += "except SystemExit as end: assert end.code == 0\n"
    code += "assert 'mindspore' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Usage:" in done.stdout and "ptions:" in done.stdout  # "Main options:" where they are grouped
    assert done.stderr == ""


@pytest.mark.parametrize("name", [name for name in mstl.__all__ if name != "__version__"])
def test_public_names_are_there_and_documented(name):
    value = getattr(mstl, name)
    assert value.__doc__ and value.__doc__.strip()


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_thing"):
        mstl.no_such_thing  # noqa: B018


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_has_help(name):
    command = main.get_command(click.Context(main), name)
    assert command is importlib.import_module(f"mstl.commands.{name.replace('-', '_')}_command").main
    assert command.help
    assert all(option.help for option in command.params if isinstance(option, click.Option))
