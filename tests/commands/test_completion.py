"""Completion of commands, options, choices, names and files, without MindSpore; and ``mstl --version``."""

import os
import platform
import subprocess
import sys

import click
import pytest
from click.shell_completion import BashComplete
from click.testing import CliRunner

import mstl
from mstl.__main__ import COMMANDS, main
from mstl.commands.completion_command import SHELLS
from mstl.models.architectures import ARCHITECTURES
from tests.conftest import environment


def offered(*words):
    """What follows the words that are typed, the last of which may be unfinished: (kind, value) pairs."""
    items = BashComplete(main, {}, "mstl", "_MSTL_COMPLETE").get_completions(list(words[:-1]), words[-1])
    return [(item.type, item.value) for item in items]


def values(*words):
    return [value for kind, value in offered(*words) if kind == "plain"]


def test_commands_and_theirs():
    assert values("") == list(COMMANDS)
    assert values("ex") == ["export"]
    assert values("weights", "ver") == ["verify"]


def test_options_and_choices():
    assert values("train", "--opt") == ["--optimizer"]
    assert values("train", "--optimizer", "la") == ["lamb"]
    assert values("export", "run/best.ckpt", "--format", "") == ["onnx", "mindir", "openvino"]


def test_names_of_models_weights_and_datasets(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert values("train", "--model", "") == list(ARCHITECTURES)
    assert values("train", "--model", "resnet18", "--weights", "t") == ["torchvision", "timm"]
    assert values("train", "--model", "resnet50", "--weights", "tu") == ["tutorial"]
    assert values("weights", "show", "resnet18.m") == ["resnet18.mstl", "resnet18.mindcv"]
    assert values("data", "get", "f") == ["flower_photos"]


def test_data_is_a_file_first_then_a_known_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert offered("train", "--data", "de") == [("plain", "demo")]
    assert offered("train", "--data", "") == [("file", "")]
    (tmp_path / "desert").mkdir()
    assert offered("train", "--data", "de") == offered("data", "check", "de") == [("file", "de")]


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (("train", "--out", "r"), "dir"),
        (("train", "--resume", "r"), "dir"),
        (("train", "--config", "r"), "file"),
        (("train", "--weights", "some/file"), "file"),
        (("predict", "best.ckpt", "cat"), "file"),
        (("evaluate", "r"), "file"),
        (("review", "r"), "file"),
    ],
    ids=lambda words: "-".join(words) if isinstance(words, tuple) else words,
)
def test_paths(tmp_path, monkeypatch, words, kind):
    monkeypatch.chdir(tmp_path)
    assert offered(*words) == [(kind, words[-1])]


def all_commands(command, words=()):
    """Each command below one, with the words that lead to it."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from all_commands(command.get_command(context, name), (*words, name))
    else:
        yield command, words


PATHS = {"data", "val", "images", "out", "src", "model", "checkpoint", "run", "runs", "paths", "config_file", "resume"}


def test_no_path_is_without_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    without = [
        (*words, parameter.name)
        for command, words in all_commands(main)
        for parameter in command.params
        if parameter.name in PATHS and not parameter.shell_complete(click.Context(command), "")
    ]
    assert without == []


def test_mindspore_is_not_loaded_for_it():
    code = (
        "import sys\nfrom mstl.__main__ import main\n"
        "try: main(prog_name='mstl')\n"
        "except SystemExit: print(sorted({'mindspore', 'numpy', 'PIL', 'matplotlib', 'scipy'} & sys.modules.keys()))"
    )
    for words in ("mstl ", "mstl train --weights ", "mstl train --data d", "mstl weights show "):
        more = {"_MSTL_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        done = subprocess.run([sys.executable, "-c", code], env=environment(**more), capture_output=True, text=True)
        *found, loaded = done.stdout.splitlines()
        assert (loaded, done.stderr) == ("[]", "")
        assert found


def test_in_bash(tmp_path):
    program = tmp_path / "mstl"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mstl "$@"\n')
    program.chmod(0o755)
    script = """
        eval "$(mstl completion bash)"
        complete -p mstl
        COMP_WORDS=(mstl train --schedule co); COMP_CWORD=3; _mstl_completion mstl; echo "${COMPREPLY[@]}"
    """
    env = environment(PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    done = subprocess.run(["bash", "--norc", "-c", script], env=env, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["complete -o nosort -F _mstl_completion mstl", "constant cosine"], done.stderr


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_of_each_shell(shell):
    done = CliRunner().invoke(main, ["completion", shell])
    assert done.exit_code == 0
    assert f"_MSTL_COMPLETE={shell}_complete" in done.stdout


def test_versions(monkeypatch):
    monkeypatch.setattr("mstl.runtime.environment.installed_version", {"mindspore": "2.9.0"}.get)
    words = CliRunner().invoke(main, ["--version"]).stdout
    assert words == f"mstl {mstl.__version__} (MindSpore 2.9.0, Python {platform.python_version()})\n"
