"""``mstl`` and ``python -m mstl``: the group of all commands."""

import importlib
import platform

import click

import mstl
from mstl.commands.help_texts import SpokenGroup
from mstl.runtime import environment

COMMANDS = (
    *("train", "evaluate", "predict", "serve", "visualize", "report", "card", "review", "label"),
    *("lr-find", "data", "weights", "convert", "export", "benchmark", "cache", "doctor", "completion"),
)


class LazyGroup(SpokenGroup):
    """A group that imports a command's module only when that command, or the list of all, is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, from its module in `mstl.commands`."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"mstl.commands.{cmd_name.replace('-', '_')}_command").main
        return command


def show_versions(context: click.Context, parameter: click.Parameter, is_asked: bool) -> None:
    """What a report of a fault needs; MindSpore is not loaded for it."""
    if is_asked and not context.resilient_parsing:
        mindspore = environment.installed_version("mindspore") or "not installed"
        click.echo(f"mstl {mstl.__version__} (MindSpore {mindspore}, Python {platform.python_version()})")
        context.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=show_versions,
    help="Show the versions of mstl, MindSpore and Python, and exit.",
)
def main() -> None:
    """Turn a folder of images into a classifier: transfer learning with pretrained ResNets on MindSpore."""


if __name__ == "__main__":
    main(prog_name="mstl")
