"""``mstl`` and ``python -m mstl``: the group of all commands."""

import importlib

import click

import mstl

COMMANDS = (
    *("train", "evaluate", "predict", "serve", "visualize", "report", "card", "review"),
    *("lr-find", "data", "weights", "convert", "export", "benchmark", "cache", "doctor"),
)


class LazyGroup(click.Group):
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


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(mstl.__version__, prog_name="mstl")
def main() -> None:
    """Turn a folder of images into a classifier: transfer learning with pretrained ResNets on MindSpore."""


if __name__ == "__main__":
    main(prog_name="mstl")
