"""The house: what is imported when, and in which direction."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import click
import pytest

import mstl
from mstl.__main__ import COMMANDS, main

ROOT = Path(mstl.__file__).parent
LAYERS = [  # a module may import from its own layer and from those above it in this list
    {"errors", "runtime", "config", "files", "fetch", "compat"},
    {"models", "data", "checkpoint", "metrics", "calibration", "trust", "suspects"},
    {"training", "report", "predictor"},
    {"cli", *COMMANDS.values()},
    {"__main__"},
]


def layer_of(name):
    return next(index for index, names in enumerate(LAYERS) if name in names)


def imported_rooms(path):
    """The rooms (first part below mstl) that a file imports, wherever in the file it does so."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "mstl":
            names = [f"mstl.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            continue
        yield from (name.split(".")[1] for name in names if name.startswith("mstl."))


def test_imports_point_one_way():
    files = [path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py"]
    assert len(files) > 20
    for path in files:
        room = path.relative_to(ROOT).parts[0].removesuffix(".py")
        for other in imported_rooms(path):
            assert layer_of(other) <= layer_of(room), f"{path} imports mstl.{other}"
            assert other not in COMMANDS.values() or room in ("__main__", other), f"{path} imports a command"


@pytest.mark.parametrize(
    "code", ["import mstl", "import mstl.__main__", "import mstl.train, mstl.visualize, mstl.doctor"]
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
    assert "Usage:" in done.stdout and "Options:" in done.stdout
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
    assert command is importlib.import_module(f"mstl.{COMMANDS[name]}").main
    assert command.help
    assert all(option.help for option in command.params if isinstance(option, click.Option))
