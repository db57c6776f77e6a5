"""The help of the commands with many options: under which heading each is found, and in which words."""

import re

import click
import pytest
from click.testing import CliRunner

from mstl.commands import lr_find_command, train_command
from mstl.config import GROUPS

HEADINGS = ["Main", "Data", "Model", "Training", "Regularisation", "Output", "Device", "Help"]
MAIN = ["data", "recipe", "model", "weights", "epochs", "batch-size", "augment", "freeze", "lr", "time-limit", "out"]


def sections(command):
    """The options that the help shows, under their headings: {"Main": ["--data", ...], ...}."""
    text = CliRunner().invoke(command.main, ["--help"], terminal_width=200).stdout
    found, options = {}, None
    for line in text.splitlines():
        if heading := re.fullmatch(r"(\w+)(?: options)?:", line):
            options = found.setdefault(heading[1], [])
        elif options is not None and (names := re.match(r"  (?:-\w, )?(--[\w-]+)", line)):
            options.append(names[1])
    return found


def test_the_groups_stand_in_their_order_with_the_main_options_on_top():
    found = sections(train_command)
    assert list(found) == HEADINGS == [*GROUPS, "Help"]
    assert found["Help"] == ["--help"]
    assert found["Main"] == [f"--{name}" for name in MAIN]


@pytest.mark.parametrize("command", [train_command, lr_find_command])
def test_each_option_is_in_exactly_one_group(command):
    found = sections(command)
    context = click.Context(command.main)
    names = [next(name for name in option.opts if name.startswith("--")) for option in command.main.get_params(context)]
    assert "--help" in names and len(names) > 20
    assert sorted(name for group in found.values() for name in group) == sorted(names)
    assert list(found) == HEADINGS


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("optimizer", "Optimizer; lbfgs solves for the head, with a weight decay that suits held-out images."),
        ("schedule", "Learning-rate schedule."),
        ("seed", "Random seed."),
        ("epochs", "Training epochs."),
        ("weight_decay", "Weight decay (not on BatchNorm or biases)."),
        ("cutmix", "CutMix alpha (0 = off)."),
        ("best", "Metric that selects best.ckpt."),
    ],
)
def test_the_help_says_first_what_an_option_is(name, words):
    (option,) = (option for option in train_command.main.params if option.name == name)
    assert option.help == words


def test_lr_find_offers_no_option_of_what_it_does_not_write():
    offered = {option.name for option in lr_find_command.main.params}
    assert not offered & {"report", "tensorboard", "tracker", "out", "best", "patience"}
