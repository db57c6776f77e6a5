"""``python -m mstl`` and the console script ``mstl``: the group of all commands."""

import importlib

import click

import mstl

# command: its module. `data` is a package of the library, so that its command cannot have the same name.
COMMANDS = {
    "train": "train",
    "evaluate": "evaluate",
    "predict": "predict",
    "visualize": "visualize",
    "report": "report_command",
    "lr-find": "lr_find",
    "data": "data_tools",
    "weights": "weights",
    "convert": "convert",
    "cache": "cache",
    "doctor": "doctor",
}


class LazyGroup(click.Group):
    """A group that imports a command's module only when that command, or the list of all, is asked for."""

    def list_commands(self, context):
        """The names, in the order of use."""
        return list(COMMANDS)

    def get_command(self, context, name):
        """The command of a module, which has the command's name."""
        return importlib.import_module(f"mstl.{COMMANDS[name]}").main if name in COMMANDS else None


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(mstl.__version__, prog_name="mstl")
def main():
    """A folder of photos becomes a classifier: transfer learning with pretrained ResNets on MindSpore."""


if __name__ == "__main__":
    main(prog_name="mstl")
