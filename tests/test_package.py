"""The package as a whole: its layout, its words, and what is imported when."""

import ast
import collections
import importlib
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

import mstl
from mstl.__main__ import COMMANDS, main
from tests import tree

PACKAGE = Path(mstl.__file__).parent
ROOT = Path(__file__).parents[1]
MODULES = sorted(PACKAGE.rglob("*.py"))
TEXTS = sorted(path for path in PACKAGE.rglob("*") if path.suffix in (".py", ".html", ".css", ".js"))
OLD_WORDS = re.compile(r"\b(nets?|photos?)\b", re.IGNORECASE)  # model and image are this field's words
ALLOWED = {  # file: lines that have one of the old words, and must
    "data/finding/lists/column_names.py": 1,  # what people call their columns and folders
    "data/finding/folders/part_names.py": 1,
}
CHECKS = ("ruff check .", "ruff format --check .", "lint-imports", "mypy", "python -m pytest")  # what CI runs


def name(path):
    return path.relative_to(PACKAGE).as_posix()


def test_the_root_shows_what_the_package_is():
    assert len([path for path in PACKAGE.iterdir() if path.is_file()]) <= 13


def test_no_two_modules_share_a_name():
    counts = collections.Counter(path.stem for path in MODULES if path.name != "__init__.py")
    assert [stem for stem, count in counts.items() if count > 1] == []
    commands = {path.stem for path in (PACKAGE / "commands").glob("*_command.py")}
    assert commands == {f"{command.replace('-', '_')}_command" for command in COMMANDS}


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_files_and_functions_are_short(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 250
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    lengths = {function.name: function.end_lineno - function.lineno + 1 for function in functions}
    assert {function: lines for function, lines in lengths.items() if lines > 60} == {}


def test_the_words_are_the_fields():
    found = {}
    for path in TEXTS:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if OLD_WORDS.search(line)]
        if lines:
            found[name(path)] = lines
    assert {file: lines for file, lines in found.items() if len(lines) != ALLOWED.get(file, 0)} == {}
    assert ALLOWED.keys() <= found.keys()


def test_contributing_shows_the_tree_as_it_is():
    assert tree.written() == tree.tree(), "run `python -m tests.tree`"


def test_contributing_names_only_what_is_there():
    """Paths in the page, such as `training/schedules.py`, and the commands that CI runs."""
    page = tree.PAGE.read_text(encoding="utf-8")
    prose = page.partition(tree.START)[0] + page.partition(tree.END)[2]
    paths = re.findall(r"`([\w./-]+\.(?:py|html|css|js|toml|md))`", prose)
    assert len(paths) > 20
    assert [path for path in paths if not (PACKAGE / path).exists() and not (ROOT / path).exists()] == []
    assert all(command in page for command in CHECKS)


@pytest.mark.skipif(not (ROOT / ".ci").exists(), reason="a source archive has no .ci")
def test_ci_runs_all_checks():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = [*script.splitlines(), *readme.splitlines()]  # CI runs the README's test command
    assert all(any(command in line for line in lines) for command in CHECKS)


@pytest.mark.parametrize(
    "code", ["import mstl", "import mstl.__main__", "import mstl.train, mstl.visualize, mstl.commands.doctor_command"]
)
def test_quick_imports_leave_mindspore_alone(code):
    heavy = {"mindspore", "numpy", "scipy", "matplotlib", "onnx", "onnxruntime", "openvino"}
    check = f"import sys; assert not {heavy} & sys.modules.keys(), 'heavy'"
    subprocess.run([sys.executable, "-W", "error", "-c", f"{code}; {check}"], check=True)


@pytest.mark.parametrize(
    "arguments", [["-m", "mstl", "--help"], ["-m", "mstl", "train", "--help"], ["-m", "mstl.train", "-h"]]
)
def test_help_leaves_mindspore_alone_and_is_silent_on_stderr(arguments):
    code = f"import runpy, sys; sys.argv = {['mstl', *arguments[2:]]!r}\n"
    code += f"try: runpy.run_module({arguments[1]!r}, run_name='__main__')\n"
    code += "except SystemExit as end: assert end.code == 0\n"
    code += "assert not {'mindspore', 'onnx', 'onnxruntime', 'openvino'} & sys.modules.keys()"
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
